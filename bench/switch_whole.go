package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// drainTime is how long streams may live after a switch.
const drainTime = 12 * time.Second

// deployedPipeline has an environment whose instances are the benchmark's application.
const deployedPipeline = `pipeline: bench
on: {manual: true, push: false, poll: off}
steps:
  - build: application
    run: mkdir dist && cp version dist/
    artifacts: dist/
  - deploy: production
environments:
  production:
    target: {process: {command: 'exec "%s" application'}}
    strategy: {blue-green: {standby: 1h}}
    balancer: %s
    health: {http: /healthz, release: /release}
    drain: {requests: 30s, streams: %s, stop: 5s}
`

// behindProxy is the balancer of an environment behind our own proxy.
const behindProxy = "{proxy: {host: " + benchHost + "}}"

// environmentKey is the environment's.
const environmentKey = "bench/production"

// wholeSide moves traffic as people do: by a call to the server, back to the release before and forward again.
type wholeSide struct {
	*server
	releases [2]int // older and newer
	live     int    // index of the one that is live
	serving  int    // process of the release that is live
	killed   int    // process that was killed last
}

// newWholeSide has two releases behind a balancer, written as in a pipeline file, so that each is ready when the other is live.
func newWholeSide(ctx context.Context, s *stage, balancer string) (*wholeSide, error) {
	w := &wholeSide{live: 1}
	var err error
	if w.server, err = s.startServer(ctx); err != nil {
		return nil, err
	}
	if err := w.awaitWorker(ctx); err != nil {
		return nil, err
	}
	w.releases, err = deployTwice(ctx, s, w.server, balancer)
	return w, err
}

// deployTwice brings two releases to an environment, and answers their numbers.
func deployTwice(ctx context.Context, s *stage, on *server, balancer string) (releases [2]int, err error) {
	made, err := s.newRepository(ctx, "bench", fmt.Sprintf(deployedPipeline, s.self, balancer, seconds(drainTime)))
	if err != nil {
		return releases, err
	}
	if _, err := on.AddProject(ctx, client.NewProject{URL: made.dir, Name: "bench"}); err != nil {
		return releases, err
	}
	for i := range releases {
		s.say("deploying release %d", i+1)
		if err := made.commit(ctx, "version", strconv.Itoa(i)); err != nil {
			return releases, err
		}
		if releases[i], err = on.deployTip(ctx); err != nil {
			return releases, err
		}
	}
	return releases, nil
}

// deployTip runs the pipeline, and answers which release is live then.
func (s *server) deployTip(ctx context.Context) (int, error) {
	run, err := s.StartRun(ctx, "bench", client.StartRun{})
	if err != nil {
		return 0, err
	}
	if _, err := s.finish(ctx, run); err != nil {
		return 0, err
	}
	e, err := s.Environment(ctx, environmentKey)
	if err != nil {
		return 0, err
	}
	return e.Live.Number, nil
}

func (w *wholeSide) host() string { return benchHost }

// next is the index of the release that is not live.
func (w *wholeSide) next() int { return 1 - w.live }

// prepare waits until the other release stands by, as the server sees it, and answers: it was killed a while ago.
func (w *wholeSide) prepare(ctx context.Context) (string, error) {
	wanted := w.releases[w.next()]
	err := until(ctx, "the standby", func() (bool, error) {
		e, err := w.Environment(ctx, environmentKey)
		if err != nil {
			return false, err
		}
		for _, i := range e.Instances {
			pid, err := pidAt(i.Address)
			if i.Release == wanted && (err != nil || i.Health != "passing" || pid == w.killed) {
				return false, fmt.Errorf("%+v: %w", i, err)
			}
			if i.Release != wanted {
				w.serving = pid
			}
		}
		return len(e.Instances) == 2, fmt.Errorf("instances %+v", e.Instances)
	})
	return strconv.Itoa(wanted), err
}

// pidAt asks an instance for its process.
func pidAt(address string) (int, error) {
	a := &asker{address: address, host: benchHost}
	defer a.close()
	answer, err := a.ask("/pid")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(answer))
}

func (w *wholeSide) move(ctx context.Context) error {
	deployment, err := w.order(ctx)
	if err != nil {
		return err
	}
	return w.await(ctx, deployment)
}

// order asks for the other release, and has its answer.
func (w *wholeSide) order(ctx context.Context) (client.Deployment, error) {
	w.live = w.next()
	if w.live == 0 {
		return w.Rollback(ctx, environmentKey, "bench")
	}
	return w.Deploy(ctx, environmentKey, client.Deploy{Release: w.releases[1], Reason: "bench"})
}

var errSeen = errors.New("seen")

// await follows the environment until the deployment has ended.
func (w *wholeSide) await(ctx context.Context, d client.Deployment) error {
	err := w.FollowEnvironment(ctx, environmentKey, func(e client.Environment) error {
		if e.Deployment != nil && e.Deployment.ID == d.ID && !e.Deployment.IsFinal() || isQueued(e, d) {
			return nil
		}
		if e.Live == nil || e.Live.Number != w.releases[w.live] {
			return fmt.Errorf("release %d did not become live: %+v", d.Release, e.Deployment)
		}
		return errSeen
	})
	if errors.Is(err, errSeen) {
		return nil
	}
	return errors.Join(err, ctx.Err())
}

func isQueued(e client.Environment, d client.Deployment) bool {
	for _, waiting := range e.Queue {
		if waiting.ID == d.ID {
			return true
		}
	}
	return false
}

// killOld kills the process that served before.
func (w *wholeSide) killOld() error {
	p, err := os.FindProcess(w.serving)
	if err != nil {
		return err
	}
	w.killed = w.serving
	return p.Kill()
}
