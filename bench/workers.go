package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath/client"
)

const (
	crowd        = 200 // workers
	stepRate     = 20  // steps a second
	crowdSteps   = 4   // of each run
	crowdRamp    = 8 * time.Second
	leasedGoal   = 100 // ms, of 99 in a hundred
	crowdCores   = 1   // of the server, the goal
	shortestStep = 500 * time.Millisecond
	longestStep  = 3500 * time.Millisecond
)

// crowdPipeline has steps one after the other. Their scripts are never run: what they would cost is not the server's.
const crowdPipeline = `pipeline: crowd
on: {manual: true, push: false, poll: off}
steps:
  - {build: shop, run: make}
  - {test: unit, run: make test}
  - {test: browser, run: make test}
  - {run: publish, script: make publish}
`

// measureWorkers has many workers take, renew, log and report steps of one server, all over connections of their own.
func measureWorkers(ctx context.Context, s *stage) (figures []Figure, err error) {
	server, err := s.startServer(ctx, "--no-worker")
	if err != nil {
		return nil, err
	}
	if err := s.addCrowdProject(ctx, server); err != nil {
		return nil, err
	}
	c := newCrowd(server.Address())
	s.say("workers: %d of them register", crowd)
	if err := c.register(ctx, server); err != nil {
		return nil, err
	}
	working, stop := context.WithCancel(ctx)
	all, working := errgroup.WithContext(working)
	for _, w := range c.workers {
		all.Go(func() error { return w.work(working) })
		all.Go(func() error { return w.keep(working) })
	}
	defer func() {
		stop()
		err = errors.Join(err, all.Wait())
	}()
	return c.measure(ctx, s, server)
}

func (s *stage) addCrowdProject(ctx context.Context, server *server) error {
	made, err := s.newRepository(ctx, "crowd", crowdPipeline)
	if err != nil {
		return err
	}
	if _, err := server.AddProject(ctx, client.NewProject{URL: made.dir, Name: "crowd"}); err != nil {
		return err
	}
	return until(ctx, "the first look at the repository", func() (bool, error) {
		seen, err := server.Changes(ctx, "crowd")
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
}

// measure looks first at workers that have nothing to do, then at all the work, and then at what came of it.
func (c *crowdBench) measure(ctx context.Context, s *stage, server *server) ([]Figure, error) {
	idle := time.Duration(s.rounds(20, 8)) * time.Second
	s.say("workers: nothing to do for %s", idle)
	quiet, err := spent(server, func() error { return pass(ctx, idle) })
	if err != nil {
		return nil, err
	}
	busy := time.Duration(s.rounds(30, 12)) * time.Second
	s.say("workers: %d steps a second for %s", stepRate, busy)
	loaded, started, err := c.load(ctx, server, busy)
	if err != nil {
		return nil, err
	}
	memory, err := anonymous(server.pid())
	if err != nil {
		return nil, err
	}
	wrong, err := c.wrong(ctx, server, started)
	if err != nil {
		return nil, err
	}
	took, gone := c.latencies()
	return []Figure{
		{Name: "ready to leased, median", Ours: quantile(took, 0.5), Unit: "ms"},
		{Name: "ready to leased, p99", Ours: quantile(took, 0.99), Unit: "ms", Goal: AtMost(leasedGoal)},
		{Name: "ready to leased, slowest", Ours: quantile(took, 1), Unit: "ms"},
		{Name: "steps leased", Ours: float64(len(took)), Unit: "steps"},
		{Name: "CPU of the server, 20 steps a second", Ours: loaded.server, Unit: "cores", Goal: AtMost(crowdCores)},
		{Name: "CPU of the 200 clients, in the same time", Ours: loaded.clients, Unit: "cores"},
		{Name: "CPU of the server, workers without work", Ours: quiet.server, Unit: "cores"},
		{Name: "memory of the server, anonymous", Ours: memory, Unit: "MB"},
		{Name: "steps lost, doubled or with a wrong log", Ours: float64(wrong), Unit: "steps", Goal: AtMost(0)},
		{Name: "calls that failed", Ours: float64(gone), Unit: "calls", Goal: AtMost(0)},
	}, nil
}

// burnt is the CPU that was used meanwhile, in cores.
type burnt struct{ server, clients float64 }

func spent(of *server, meanwhile func() error) (burnt, error) {
	began := time.Now()
	before, errBefore := cpu(of.pid())
	ownBefore, errOwnBefore := cpu(os.Getpid())
	err := meanwhile()
	after, errAfter := cpu(of.pid())
	ownAfter, errOwnAfter := cpu(os.Getpid())
	passed := float64(time.Since(began))
	return burnt{server: float64(after-before) / passed, clients: float64(ownAfter-ownBefore) / passed},
		errors.Join(err, errBefore, errOwnBefore, errAfter, errOwnAfter)
}

// load starts runs at a steady rate, measures once as many steps end as begin, and waits for the last run.
func (c *crowdBench) load(ctx context.Context, server *server, busy time.Duration) (b burnt, started []client.Run, err error) {
	runs, failed := make(chan client.Run), make(chan error, 1)
	starting, enough := context.WithCancel(ctx)
	defer enough()
	go func() {
		defer close(runs)
		failed <- c.startRuns(starting, server, runs)
	}()
	gathered := make(chan []client.Run)
	go func() {
		var all []client.Run
		for run := range runs {
			all = append(all, run)
		}
		gathered <- all
	}()
	err = pass(ctx, crowdRamp)
	if err == nil {
		b, err = spent(server, func() error { return pass(ctx, busy) })
	}
	enough()
	started = <-gathered
	return b, started, errors.Join(err, <-failed)
}

// startRuns starts one run after the other, whether those before have ended or not.
func (c *crowdBench) startRuns(ctx context.Context, server *server, into chan<- client.Run) error {
	tick := time.NewTicker(time.Second * crowdSteps / stepRate)
	defer tick.Stop()
	starting, _ := errgroup.WithContext(context.WithoutCancel(ctx))
	for {
		select {
		case <-ctx.Done():
			return starting.Wait()
		case <-tick.C:
		}
		starting.Go(func() error {
			began := time.Now()
			run, err := server.StartRun(context.WithoutCancel(ctx), "crowd", client.StartRun{})
			if err != nil {
				return err
			}
			c.ready(run.ID, "shop", began)
			into <- run
			return nil
		})
	}
}

// wrong counts what is not as it should be once everything has ended: a step that did not pass in its first attempt, was
// leased more or less than once, or has another log than was sent.
func (c *crowdBench) wrong(ctx context.Context, server *server, started []client.Run) (wrong int, err error) {
	for _, run := range started {
		ended := run
		err := server.FollowRun(ctx, run.Pipeline, run.Number, func(r client.Run) error {
			ended = r
			return nil
		})
		if err != nil {
			return wrong, err
		}
		for _, step := range ended.Steps {
			sent, once := c.sent(run.ID, step.Name)
			if !once || step.State != "passed" || step.Attempt != 1 || !hasLog(ctx, server, ended, step.Name, sent) {
				wrong++
			}
		}
	}
	return wrong, nil
}

func hasLog(ctx context.Context, server *server, run client.Run, step, want string) bool {
	log, err := server.Log(ctx, client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: step})
	if err != nil {
		return false
	}
	defer log.Close()
	got, err := io.ReadAll(log)
	return err == nil && string(got) == want
}

func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// stepTime is how long a step takes, so that no two workers go in step.
func stepTime() time.Duration { return shortestStep + rand.N(longestStep-shortestStep) }

// latencies answers the time from ready to leased of every step, in ms, and how many calls failed.
func (c *crowdBench) latencies() (took []float64, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, leased := range c.leased {
		if ready, ok := c.readyAt[key]; ok {
			took = append(took, milliseconds(leased[0].Sub(ready)))
		}
	}
	slices.Sort(took)
	return took, c.failures
}
