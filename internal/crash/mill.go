package crash

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// The bakery runs after the mill.
const (
	millPipeline   = "mill"
	bakeryPipeline = "bakery"
)

// millPause is how long the mill waits between two runs.
const millPause = 500 * time.Millisecond

// mill starts one small run after the other and waits for none, so that there is always a step under way: one whose worker
// died waits for a lease's time.
type mill struct {
	*Story
	repository *repository
	started    []int // numbers of runs
	oven       []int // the same, of the oven
}

func (w *World) millFile() string {
	return fmt.Sprintf(`
pipeline: mill
on: {manual: true, push: false}
concurrency: parallel
steps:
  - build: flour
    retry: {lost: 10}
    run: |
      %[1]s
      mkdir flour
      echo "$TOWPATH_RUN_ID" > flour/bag
      echo ground
    artifacts: flour/
  - test: flour-is-fine
    retry: {lost: 10}
    run: |
      %[1]s
      read -r bag < flour/bag
      test "$bag" = "$TOWPATH_RUN_ID"
`, w.noting())
}

func (w *World) bakeryFile() string {
	return fmt.Sprintf(`
pipeline: bakery
on: {pipeline: mill, manual: false}
concurrency: parallel
steps:
  - build: bread
    retry: {lost: 10}
    run: %s
`, w.noting())
}

func newMill(ctx context.Context, s *Story) (actor, error) {
	m := &mill{Story: s}
	var err error
	files := map[string]string{"towpath.yaml": s.millFile(), ".towpath/bakery.yaml": s.bakeryFile(), ".towpath/oven.yaml": s.ovenFile()}
	if m.repository, err = s.newRepository(ctx, millPipeline, files); err != nil {
		return nil, err
	}
	if err := s.watch(ctx, m.repository); err != nil {
		return nil, err
	}
	return m, m.awaits(ctx, "the mill's first commit is looked at, so that its runs are followed", func(ctx context.Context) (bool, error) {
		changes, err := s.Owner.Changes(ctx, millPipeline)
		return len(changes) > 0 && changes[0].Outcome != "pending", err
	})
}

func (m *mill) act(ctx context.Context) error {
	var made client.Run
	_, err := m.ask(ctx, func(ctx context.Context) (err error) {
		made, err = m.Owner.StartRun(ctx, millPipeline, client.StartRun{Pipeline: millPipeline})
		return err
	})
	if err != nil {
		return err
	}
	m.started = append(m.started, made.Number)
	if len(m.started)%ovenEvery == 0 {
		if err := m.bake(ctx); err != nil {
			return err
		}
	}
	return pause(ctx, millPause)
}

func (m *mill) judge(ctx context.Context) (losses []Loss, err error) {
	runs, err := m.runsOf(ctx, millPipeline)
	if err != nil {
		return nil, err
	}
	known := map[int]bool{}
	for _, r := range runs {
		known[r.Number] = true
		if r.State != "passed" && !isCutRun(r) {
			losses = append(losses, Loss{WrongEnd, describe(r)})
		}
	}
	for _, number := range m.started {
		if !known[number] {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("there is no mill #%d", number)})
		}
	}
	more, err := m.judgeFollowed(ctx)
	if err != nil {
		return nil, err
	}
	baked, err := m.judgeOven(ctx)
	return slices.Concat(losses, more, baked), err
}

// judgeFollowed sees that each run of the mill that passed was followed by one of the bakery.
func (s *Story) judgeFollowed(ctx context.Context) (losses []Loss, err error) {
	baked, err := s.runsOf(ctx, bakeryPipeline)
	if err != nil {
		return nil, err
	}
	after := map[string]int{}
	for _, r := range baked {
		after[r.Upstream]++
	}
	ground, err := s.runsOf(ctx, millPipeline)
	for _, r := range ground {
		switch times := after[r.ID]; {
		case r.State == "passed" && times == 0:
			losses = append(losses, Loss{LostEvent, "nothing was baked after " + describe(r)})
		case times > 1 || r.State != "passed" && times > 0:
			losses = append(losses, Loss{Doubled, fmt.Sprintf("baked %d times after %s", times, describe(r))})
		}
	}
	return losses, err
}
