package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// note is what each script does first: it writes down that this attempt ran. Nothing refuses a second time there, so
// whoever runs an attempt twice is found out.
const note = `echo "$TOWPATH_RUN_ID $TOWPATH_STEP $TOWPATH_ATTEMPT" >> %s`

func (w *World) notes() string { return w.path("notes") }

func (w *World) noting() string { return fmt.Sprintf(note, w.notes()) }

// isOver says that a run has come to its end.
func isOver(r client.Run) bool { return r.State != "running" && r.State != "waiting" }

func stepOf(r client.Run, name string) client.Step {
	i := slices.IndexFunc(r.Steps, func(s client.Step) bool { return s.Name == name })
	if i < 0 {
		return client.Step{}
	}
	return r.Steps[i]
}

// runsOf are all of a pipeline, with their steps.
func (s *Story) runsOf(ctx context.Context, pipeline string) ([]client.Run, error) {
	var all []client.Run
	for before := 0; ; {
		page, err := s.Owner.Runs(ctx, client.RunFilter{Pipeline: pipeline, Before: before, Limit: 100})
		if err != nil || len(page) == 0 {
			return all, err
		}
		for _, r := range page {
			whole, err := s.Owner.Run(ctx, pipeline, r.Number)
			if err != nil {
				return nil, err
			}
			all = append(all, whole)
			before = r.Number
		}
	}
}

// runOf waits until there is a run of a revision.
func (s *Story) runOf(ctx context.Context, pipeline, revision string) (found client.Run, err error) {
	err = s.awaits(ctx, "there is a run of "+revision, func(ctx context.Context) (bool, error) {
		runs, err := s.Owner.Runs(ctx, client.RunFilter{Pipeline: pipeline, Limit: 20})
		for _, r := range runs {
			if r.Revision == revision && r.Trigger != "manual" {
				found = r
				return true, nil
			}
		}
		return false, err
	})
	return found, err
}

// run waits until something holds for a run, or it is over.
func (s *Story) run(ctx context.Context, r client.Run, what string, holds func(client.Run) bool) (seen client.Run, err error) {
	err = s.awaits(ctx, fmt.Sprintf("%s #%d %s", r.Pipeline, r.Number, what), func(ctx context.Context) (bool, error) {
		found, err := s.Owner.Run(ctx, r.Pipeline, r.Number)
		seen = found
		return err == nil && (holds(found) || isOver(found)), err
	})
	if err != nil {
		err = fmt.Errorf("%w: %s", err, describe(seen))
	}
	return seen, err
}

// describe says what became of a run.
func describe(r client.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s #%d (%s) %s %s", r.Pipeline, r.Number, r.Title, r.State, r.Reason)
	for _, step := range r.Steps {
		fmt.Fprintf(&b, "; %s %s: %s (attempt %d) %s", step.Kind, step.Name, step.State, step.Attempt, step.Reason)
	}
	return b.String()
}

// isCutRun says that a run failed as it should: its script that must not run twice was cut by the death of its worker, or
// somebody killed a script, which is no reason to run it again.
func isCutRun(r client.Run) bool {
	return r.State == "failed" && slices.ContainsFunc(r.Steps, func(s client.Step) bool {
		isCut := s.Kind == "run" && s.Attempt == 1 && strings.Contains(s.Reason, "worker")
		isKilled := strings.Contains(s.Reason, "killed by signal 9") || strings.Contains(s.Reason, "status 137")
		return s.State == "failed" && (isCut || isKilled)
	})
}

// judgeAttempts compares what ran with what is recorded as having run.
func judgeAttempts(runs []client.Run, ran map[string]int) (losses []Loss) {
	for _, r := range runs {
		for _, step := range r.Steps {
			if step.Kind == "approve" || step.Kind == "deploy" {
				continue
			}
			for attempt := 1; attempt <= step.Attempt; attempt++ {
				times := ran[fmt.Sprintf("%s %s %d", r.ID, step.Name, attempt)]
				if times > 1 {
					losses = append(losses, Loss{Doubled, fmt.Sprintf("attempt %d of %s ran %d times: %s", attempt, step.Name, times, describe(r))})
				}
				if times == 0 && attempt == step.Attempt && step.State == "passed" {
					losses = append(losses, Loss{WrongEnd, fmt.Sprintf("%s passed and never ran: %s", step.Name, describe(r))})
				}
			}
			if next := fmt.Sprintf("%s %s %d", r.ID, step.Name, step.Attempt+1); ran[next] > 0 {
				losses = append(losses, Loss{LostEvent, fmt.Sprintf("an attempt of %s ran that is not recorded: %s", step.Name, describe(r))})
			}
			if step.Kind == "run" && step.Attempt > 1 {
				losses = append(losses, Loss{Doubled, fmt.Sprintf("%s ran again by itself: %s", step.Name, describe(r))})
			}
		}
	}
	return losses
}
