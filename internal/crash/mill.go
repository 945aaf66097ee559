package crash

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const millPipeline = "mill"

// millPause is how long the mill waits between two runs.
const millPause = 500 * time.Millisecond

// mill starts one small run after the other and waits for none, so that there is always a step under way: one whose worker
// died waits for a lease's time.
type mill struct {
	*Story
	repository *repository
	started    []int // numbers of runs
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

func newMill(ctx context.Context, s *Story) (actor, error) {
	m := &mill{Story: s}
	var err error
	if m.repository, err = s.newRepository(ctx, millPipeline, map[string]string{"towpath.yaml": s.millFile()}); err != nil {
		return nil, err
	}
	return m, s.watch(ctx, m.repository)
}

func (m *mill) act(ctx context.Context) error {
	var made client.Run
	_, err := m.ask(ctx, func(ctx context.Context) (err error) {
		made, err = m.Owner.StartRun(ctx, millPipeline, client.StartRun{})
		return err
	})
	if err != nil {
		return err
	}
	m.started = append(m.started, made.Number)
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
	return losses, nil
}
