package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath/client"
)

// The goals of the page: a ratio to tar's time, and MB of memory that no file stands behind.
const (
	artifactGoal       = 1.5
	artifactMemoryGoal = 256
)

// artifactPipeline has one worker make a tree, and another one use it. Each writes down when its script ended, or began.
const artifactPipeline = `pipeline: %[1]s
on: {manual: true, push: false, poll: off}
steps:
  - build: make
    worker: [up]
    run: |
      cp -r %[2]s dist
      echo "$EPOCHREALTIME" >>%[3]s
    artifacts: dist/
  - test: use
    worker: [down]
    run: echo "$EPOCHREALTIME" >>%[3]s
`

// artifacts is one tree's side of the benchmark.
type artifacts struct {
	*stage
	*server
	forest forest
	stamps *stamps
	took   map[string][]float64 // s, by what was done
}

// measureArtifact has trees go up from one worker and down to another, in turn with tar and cp on the same disk.
func measureArtifact(ctx context.Context, s *stage) ([]Figure, error) {
	of, err := s.startServer(ctx, "--no-worker")
	if err != nil {
		return nil, err
	}
	watches := map[string]*memoryWatch{"server": watchMemory(of.pid())}
	for _, label := range []string{"up", "down"} {
		worker, err := s.startLabelled(ctx, of, label)
		if err != nil {
			return nil, err
		}
		watches["worker "+label] = watchMemory(worker.pid())
	}
	var figures []Figure
	for _, f := range []forest{
		{stage: s, name: "small", files: s.rounds(10_000, 1_000), each: 10_000},
		{stage: s, name: "large", files: 4, each: s.rounds(1<<30, 1<<25)},
	} {
		a := &artifacts{stage: s, server: of, forest: f, stamps: &stamps{path: s.path(f.name + ".stamps")}, took: map[string][]float64{}}
		if err := a.measure(ctx); err != nil {
			return nil, err
		}
		figures = append(figures, a.figures()...)
	}
	together := 0.0
	for _, watch := range watches {
		most, err := watch.peak()
		if err != nil {
			return figures, err
		}
		together = max(together, most)
	}
	return append(figures, Figure{Name: "memory of the server or a worker at most", Ours: together, Unit: "MB", Goal: AtMost(artifactMemoryGoal)}), nil
}

// startLabelled starts a worker of its own folder that takes the steps with a label.
func (s *stage) startLabelled(ctx context.Context, of *server, label string) (*process, error) {
	token, err := of.NewWorkerToken(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.start("worker-"+label, nil, s.towpath, "worker", "--server", of.Address(), "--data", s.path("worker-"+label),
		"--proxy-data", s.path("proxy"), "--label", label, "--name", label, "--token", token.Token)
	if err != nil {
		return nil, err
	}
	return p, until(ctx, "worker "+label, func() (bool, error) {
		workers, err := of.Workers(ctx)
		for _, w := range workers {
			if w.Name == label {
				return true, err
			}
		}
		return false, err
	})
}

func (a *artifacts) measure(ctx context.Context) error {
	name := a.forest.name
	made, err := a.newRepository(ctx, name, fmt.Sprintf(artifactPipeline, name, a.forest.dir(), a.stamps.path))
	if err == nil {
		_, err = a.AddProject(ctx, client.NewProject{URL: made.dir, Name: name})
	}
	if err != nil {
		return err
	}
	err = until(ctx, "the first look at a repository", func() (bool, error) {
		seen, err := a.Changes(ctx, name)
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
	rounds := a.rounds(5, 2)
	if a.forest.files < 10 {
		rounds = a.rounds(3, 2)
	}
	for round := range rounds {
		if err != nil {
			return err
		}
		a.say("artifact: round %d of %s", round+1, a.forest.described())
		err = a.round(ctx, round)
	}
	return err
}

func (a *artifacts) round(ctx context.Context, round int) error {
	if err := a.forest.grow(round); err != nil {
		return err
	}
	pack, unpack, err := a.forest.byTar(ctx)
	if err != nil {
		return err
	}
	copied, err := a.forest.byCopy(ctx)
	if err != nil {
		return err
	}
	up, down, err := a.run(ctx)
	for name, took := range map[string]float64{"tar -c": pack, "tar -x": unpack, "cp": copied, "up": up, "down": down} {
		a.took[name] = append(a.took[name], took)
	}
	return err
}

// run answers how long the tree took from the end of one script to its step's, and from the beginning of the next step to
// its script's, in s.
func (a *artifacts) run(ctx context.Context) (up, down float64, err error) {
	run, err := a.StartRun(ctx, a.forest.name, client.StartRun{})
	if err == nil {
		run, err = a.finish(ctx, run)
	}
	if err != nil {
		return 0, 0, err
	}
	times, err := a.stamps.take()
	if err == nil && (len(times) != 2 || len(run.Steps) != 2) {
		err = errors.New("the scripts did not write down when they ended and began")
	}
	if err != nil {
		return 0, 0, err
	}
	return run.Steps[0].FinishedAt.Sub(times[0]).Seconds(), times[1].Sub(run.Steps[1].StartedAt).Seconds(), nil
}

func (a *artifacts) figures() []Figure {
	pack, unpack, of := median(a.took["tar -c"]), median(a.took["tar -x"]), a.forest.described()
	return []Figure{
		{Name: of + ", up", Ours: median(a.took["up"]), Unit: "s", Reference: "tar -c and sync", Limit: pack, Goal: AtMost(artifactGoal * pack)},
		{Name: of + ", up, beside a copy", Ours: median(a.took["up"]), Unit: "s", Reference: "cp -r", Limit: median(a.took["cp"])},
		{Name: of + ", down", Ours: median(a.took["down"]), Unit: "s", Reference: "tar -x", Limit: unpack, Goal: AtMost(artifactGoal * unpack)},
	}
}
