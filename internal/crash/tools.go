package crash

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/towpath-cd/towpath/client"
)

const toolsPipeline = "tools"

// tools is a team that starts runs by hand and cancels them, and whose pipeline file is wrong at times.
type tools struct {
	*Story
	repository *repository
	started    []int // numbers of runs
	canceled   []int
	revisions  []string // that are no run
	n          int
}

func (w *World) toolsFile() string {
	return fmt.Sprintf(`
pipeline: tools
on: {manual: true, push: false}
concurrency: parallel
steps:
  - run: long
    script: |
      %s
      sleep 1000
  - approve: ask
    needs: []
    by: releasers
  - run: after
    needs: [long, ask]
    script: %s
`, w.noting(), w.noting())
}

func newTools(ctx context.Context, s *Story) (actor, error) {
	t := &tools{Story: s}
	var err error
	if t.repository, err = s.newRepository(ctx, toolsPipeline, map[string]string{"towpath.yaml": s.toolsFile()}); err != nil {
		return nil, err
	}
	return t, s.watch(ctx, t.repository)
}

func (t *tools) act(ctx context.Context) error {
	t.n++
	switch t.n % 3 {
	case 0:
		return t.pushes(ctx, "pipeline: tools\nsteps: [{build: nothing}]\n")
	case 1:
		if err := t.pushes(ctx, t.toolsFile()); err != nil {
			return err
		}
		return t.startAndCancel(ctx)
	}
	return t.startAndCancel(ctx)
}

// pushes a file from which nothing is started, and waits until that is said.
func (t *tools) pushes(ctx context.Context, file string) error {
	revision, err := t.repository.push(ctx, "Change "+strconv.Itoa(t.n), map[string]string{"towpath.yaml": file})
	if err != nil {
		return err
	}
	t.revisions = append(t.revisions, revision)
	if err := t.awaits(ctx, "the change is looked at", func(ctx context.Context) (bool, error) { return t.isSettled(ctx, revision) }); err != nil {
		return err
	}
	if t.n%3 != 0 {
		return nil
	}
	_, err = t.ask(ctx, func(ctx context.Context) error {
		_, err := t.Owner.StartRun(ctx, toolsPipeline, client.StartRun{})
		return err
	})
	if err == nil {
		return errors.New("a pipeline file that is wrong was run")
	}
	if _, said := errors.AsType[*client.Error](err); said {
		return nil
	}
	return err
}

func (t *tools) isSettled(ctx context.Context, revision string) (bool, error) {
	changes, err := t.Owner.Changes(ctx, toolsPipeline)
	for _, c := range changes {
		if c.Revision == revision && c.Trigger != "manual" {
			return c.Outcome != "pending", nil
		}
	}
	return false, err
}

// startAndCancel starts a run, waits until its script runs and its approval is asked, and cancels it.
func (t *tools) startAndCancel(ctx context.Context) error {
	var made client.Run
	_, err := t.ask(ctx, func(ctx context.Context) (err error) {
		made, err = t.Owner.StartRun(ctx, toolsPipeline, client.StartRun{})
		return err
	})
	if err != nil {
		return err
	}
	t.started = append(t.started, made.Number)
	_, err = t.run(ctx, made, "is under way", func(r client.Run) bool {
		return stepOf(r, "long").State == "running" && stepOf(r, "ask").State == "waiting"
	})
	if err == nil {
		err = t.cancel(ctx, made)
	}
	if err == nil {
		_, err = t.run(ctx, made, "is over", isOver)
	}
	if err != nil {
		return err
	}
	return t.cancelRest(ctx)
}

func (t *tools) cancel(ctx context.Context, r client.Run) error {
	_, err := t.ask(ctx, func(ctx context.Context) error {
		_, err := t.Owner.CancelRun(ctx, r.Pipeline, r.Number)
		return err
	})
	switch {
	case err == nil:
		t.canceled = append(t.canceled, r.Number)
	case has(err, "conflict"):
		return nil // it is over
	}
	return err
}

// cancelRest cancels what was started without an answer.
func (t *tools) cancelRest(ctx context.Context) error {
	var running []client.Run
	_, err := t.ask(ctx, func(ctx context.Context) (err error) {
		running, err = t.Owner.Runs(ctx, client.RunFilter{Pipeline: toolsPipeline, State: "running"})
		return err
	})
	for _, r := range running {
		if err == nil {
			err = t.cancel(ctx, r)
		}
	}
	return err
}

func (t *tools) judge(ctx context.Context) (losses []Loss, err error) {
	runs, err := t.runsOf(ctx, toolsPipeline)
	if err != nil {
		return nil, err
	}
	known := map[int]string{}
	for _, r := range runs {
		known[r.Number] = r.State
		if !isOver(r) {
			losses = append(losses, Loss{WrongEnd, describe(r)})
		}
	}
	for _, number := range t.started {
		if known[number] == "" {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("there is no tools #%d", number)})
		}
	}
	losses = append(losses, t.judgeCanceled(runs)...)
	for _, revision := range t.revisions[max(0, len(t.revisions)-mostListed/3):] { // a push has at most two wishes after it
		if is, err := t.isSettled(ctx, revision); !is {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("change %s was not looked at, %v", revision, err)})
		}
	}
	return losses, nil
}

// mostListed is how many changes the server lists: the newest.
const mostListed = 50

// judgeCanceled lets a run that was canceled have failed: its worker was lost before.
func (t *tools) judgeCanceled(runs []client.Run) []Loss {
	var sure []int
	for _, number := range t.canceled {
		for _, r := range runs {
			if r.Number == number && !isCutRun(r) {
				sure = append(sure, number)
			}
		}
	}
	return judgeCanceled(sure, runs)
}
