package towpath

import "time"

// StepUnclaimed says that no worker could take an attempt for as long as it may wait for one.
type StepUnclaimed struct {
	Step    string
	Attempt int
	Reason  string
	At      time.Time
}

func (e StepUnclaimed) when() time.Time { return e.At }

func (e StepUnclaimed) refusedBy(r Run) error {
	return refuseAttempt(r, e.Step, e.Attempt, AttemptQueued)
}

func (e StepUnclaimed) apply(t *runTransition) {
	s := t.step(e.Step)
	t.endAttempt(s, AttemptFailed, e.Reason, 0)
	t.end(s, StepFailed, e.Reason)
}
