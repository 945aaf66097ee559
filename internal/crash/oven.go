package crash

import (
	"context"
	"fmt"

	"github.com/towpath-cd/towpath/client"
)

// The oven's runs go one after the other, and some are run again.
const ovenPipeline = "oven"

// ovenEvery is after how many runs of the mill the oven has some.
const ovenEvery = 5

// ovenFile has a test that fails at its first attempt.
func (w *World) ovenFile() string {
	return fmt.Sprintf(`
pipeline: oven
on: {manual: true, push: false}
concurrency: queue
steps:
  - build: dough
    retry: {lost: 10}
    matrix: {flour: [rye, wheat]}
    run: |
      %[1]s
      mkdir dough
      echo "$TOWPATH_MATRIX_FLOUR" > dough/kind
    artifacts: dough/
  - test: crust
    retry: {lost: 10, times: 1}
    run: |
      %[1]s
      test "$TOWPATH_ATTEMPT" -gt 1
      cat dough-rye/dough/kind dough-wheat/dough/kind
`, w.noting())
}

// bake starts two runs, of which the second waits for the first, and runs an earlier one again.
func (m *mill) bake(ctx context.Context) error {
	for range 2 {
		made, err := m.asksForRun(ctx, func(ctx context.Context) (client.Run, error) {
			return m.Owner.StartRun(ctx, millPipeline, client.StartRun{Pipeline: ovenPipeline})
		})
		if err != nil {
			return err
		}
		m.oven = append(m.oven, made.Number)
	}
	made, err := m.asksForRun(ctx, func(ctx context.Context) (client.Run, error) {
		return m.Owner.RerunRun(ctx, ovenPipeline, m.oven[0], client.Rerun{From: "crust"})
	})
	switch {
	case has(err, "conflict"): // it has not ended, or one of its builds was cut
		return nil
	case err == nil:
		m.oven = append(m.oven, made.Number)
	}
	return err
}

func (m *mill) asksForRun(ctx context.Context, call func(context.Context) (client.Run, error)) (made client.Run, err error) {
	_, err = m.ask(ctx, func(ctx context.Context) (err error) {
		made, err = call(ctx)
		return err
	})
	return made, err
}

func (m *mill) judgeOven(ctx context.Context) (losses []Loss, err error) {
	runs, err := m.runsOf(ctx, ovenPipeline)
	known := map[int]bool{}
	for _, r := range runs {
		known[r.Number] = true
		if r.State != "passed" && !isCutRun(r) {
			losses = append(losses, Loss{WrongEnd, describe(r)})
		}
	}
	for _, number := range m.oven {
		if !known[number] {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("there is no oven #%d", number)})
		}
	}
	return losses, err
}
