package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const (
	survivors    = 50              // steps that run when the server goes
	printEvery   = 0.25            // seconds between two lines of each
	printed50    = 28              // lines of each
	lostGoal     = 15              // s
	readyGoal    = 2000            // ms
	surviveLimit = 2 * time.Minute // for all steps to begin, and for one to be known as lost
)

// survivePipeline has steps that begin to print for a while when a file is gone.
func survivePipeline(held string) string {
	var b strings.Builder
	b.WriteString("pipeline: survive\non: {manual: true, push: false, poll: off}\nsteps:\n")
	for i := range survivors {
		fmt.Fprintf(&b, "  - test: s%d\n    needs: []\n    run: |\n", i)
		fmt.Fprintf(&b, "      echo \"line 0 of step %d\"; while test -e %s; do sleep 0.5; done\n", i, held)
		fmt.Fprintf(&b, "      for n in $(seq %d); do echo \"line $n of step %d\"; sleep %g; done\n", printed50-1, i, printEvery)
	}
	return b.String()
}

// lostPipeline has a step that never ends in its first attempt.
const lostPipeline = `pipeline: lost
on: {manual: true, push: false, poll: off}
steps:
  - build: stuck
    run: if [ "$TOWPATH_ATTEMPT" = 1 ]; then echo begun; sleep 1000; fi
`

// survival is what became of the steps.
type survival struct {
	*stage
	*server
	worker *process
	ready  []float64 // ms from a start of the server to its answer
	lost   []float64 // s from the kill of a worker to the step that is known as lost
	failed int       // steps that failed, or ran more than once
	bytes  int       // of logs that are missing, or stand there twice
}

// measureSurvive kills and restarts the server under running steps, and then kills workers.
func measureSurvive(ctx context.Context, s *stage) ([]Figure, error) {
	v := &survival{stage: s}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	for round := range s.rounds(5, 1) {
		s.say("survive: round %d, %d steps through restarts of the server", round+1, survivors)
		if err := v.restartUnderSteps(ctx); err != nil {
			return nil, err
		}
	}
	for round := range s.rounds(5, 1) {
		s.say("survive: round %d, a worker is killed", round+1)
		if err := v.loseWorker(ctx); err != nil {
			return nil, err
		}
	}
	return v.figures(), nil
}

func (v *survival) open(ctx context.Context) (err error) {
	if v.server, err = v.startServer(ctx, "--no-worker"); err != nil {
		return err
	}
	if v.worker, err = v.startWorker(ctx, v.server, "--slots", fmt.Sprint(survivors)); err != nil {
		return err
	}
	for name, pipeline := range map[string]string{"survive": survivePipeline(v.held()), "lost": lostPipeline} {
		made, err := v.newRepository(ctx, name, pipeline)
		if err != nil {
			return err
		}
		if _, err := v.AddProject(ctx, client.NewProject{URL: made.dir, Name: name}); err != nil {
			return err
		}
		err = until(ctx, "the first look at a repository", func() (bool, error) {
			seen, err := v.Changes(ctx, name)
			return len(seen) > 0 && seen[0].Outcome != "pending", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// held is the file that the steps wait for the end of.
func (v *survival) held() string { return v.path("held") }

// restartUnderSteps kills the server while all steps run, starts it, stops it as an upgrade does, and starts it again.
func (v *survival) restartUnderSteps(ctx context.Context) error {
	if err := os.WriteFile(v.held(), nil, 0o600); err != nil {
		return err
	}
	run, err := v.StartRun(ctx, "survive", client.StartRun{})
	if err != nil {
		return err
	}
	err = untilWithin(ctx, surviveLimit, "all steps run", func() (bool, error) { return v.haveBegun(ctx, run), nil })
	if err := errors.Join(err, os.Remove(v.held())); err != nil {
		return err
	}
	for _, end := range []func(*process) error{(*process).kill, (*process).end} {
		if err := end(v.process); err != nil {
			return err
		}
		if err := v.restart(ctx); err != nil {
			return err
		}
	}
	return v.check(ctx, run)
}

// haveBegun says that every step has printed its first line.
func (v *survival) haveBegun(ctx context.Context, run client.Run) bool {
	for i := range survivors {
		if text, err := v.text(ctx, run, fmt.Sprintf("s%d", i)); err != nil || text == "" {
			return false
		}
	}
	return true
}

// restart starts the server again at its address, and notes how long that took.
func (v *survival) restart(ctx context.Context) (err error) {
	began := time.Now()
	v.server, err = v.startServerAt(ctx, strings.TrimPrefix(v.Address(), "http://"), "--no-worker")
	v.ready = append(v.ready, milliseconds(time.Since(began)))
	return err
}

// check waits for the run's end, and counts what it lacks.
func (v *survival) check(ctx context.Context, run client.Run) error {
	ended := run
	err := v.FollowRun(ctx, run.Pipeline, run.Number, func(r client.Run) error {
		ended = r
		return nil
	})
	if err != nil {
		return err
	}
	for i, step := range ended.Steps {
		if step.State != "passed" || step.Attempt != 1 {
			v.failed++
		}
		var want strings.Builder
		for n := range printed50 {
			fmt.Fprintf(&want, "line %d of step %d\n", n, i)
		}
		text, err := v.text(ctx, ended, step.Name)
		if err != nil {
			return err
		}
		v.bytes += differing(text, want.String())
	}
	return nil
}

func (v *survival) text(ctx context.Context, run client.Run, step string) (string, error) {
	log, err := v.Log(ctx, client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: step})
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(log)
	return string(text), errors.Join(err, log.Close())
}

// differing counts the bytes of lines that stand in only one of two texts, as often as they do.
func differing(a, b string) (bytes int) {
	count := map[string]int{}
	for line := range strings.Lines(a) {
		count[line]++
	}
	for line := range strings.Lines(b) {
		count[line]--
	}
	for line, n := range count {
		bytes += len(line) * max(n, -n)
	}
	return bytes
}

// loseWorker kills the worker under a step, and waits until the server knows.
func (v *survival) loseWorker(ctx context.Context) error {
	run, err := v.StartRun(ctx, "lost", client.StartRun{})
	if err != nil {
		return err
	}
	err = until(ctx, "the step runs", func() (bool, error) {
		text, err := v.text(ctx, run, "stuck")
		return strings.Contains(text, "begun"), err
	})
	if err != nil {
		return err
	}
	if err := v.worker.kill(); err != nil {
		return err
	}
	began := time.Now()
	err = untilWithin(ctx, surviveLimit, "the step is lost", func() (bool, error) {
		now, err := v.Run(ctx, run.Pipeline, run.Number)
		return err == nil && now.Steps[0].State == "queued", err
	})
	if err != nil {
		return err
	}
	v.lost = append(v.lost, time.Since(began).Seconds())
	if v.worker, err = v.startWorkerAgain(v.server, "--slots", fmt.Sprint(survivors)); err != nil {
		return err
	}
	_, err = v.finish(ctx, run)
	return err
}

func (v *survival) figures() []Figure {
	return []Figure{
		{Name: fmt.Sprintf("steps that failed or ran again, of %d through two restarts of the server", survivors), Ours: float64(v.failed), Unit: "steps", Goal: AtMost(0)},
		{Name: "of their logs, missing or doubled", Ours: float64(v.bytes), Unit: "bytes", Goal: AtMost(0)},
		{Name: "server ready after a kill or a stop", Ours: median(v.ready), Unit: "ms", Goal: AtMost(readyGoal)},
		{Name: "server ready, longest", Ours: slices.Max(v.ready), Unit: "ms", Goal: AtMost(readyGoal)},
		{Name: "worker killed, until its step is lost, longest", Ours: slices.Max(v.lost), Unit: "s", Goal: AtMost(lostGoal)},
	}
}
