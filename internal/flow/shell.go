package flow

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
)

// auditShell records that a debug shell has ended: whose it was, of which step, how long it took, and why it ended. What was
// typed stands nowhere.
func (a *act) auditShell(run towpath.Run) error {
	if run.Shell == nil || !run.State.IsFinal() {
		return nil
	}
	step, _ := run.Step(run.Shell.Step)
	detail := step.Name + " was never begun"
	if !step.StartedAt.IsZero() {
		detail = fmt.Sprintf("%s for %s", step.Name, step.FinishedAt.Sub(step.StartedAt).Round(time.Second))
		if worker, err := a.tx.Worker(step.Attempts[step.Attempt()-1].Worker); err == nil {
			detail += " on " + worker.Name
		}
	}
	if step.Reason != "" {
		detail += ": " + step.Reason
	}
	return access.Record(a.tx, access.Act{
		Actor: run.Shell.By, Action: "shell.end", Object: fmt.Sprintf("%s #%d", run.Pipeline, run.Number), Detail: detail, At: a.at,
	})
}
