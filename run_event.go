package towpath

import (
	"fmt"
	"slices"
	"time"
)

// RunEvent is something that happened to a run. Every event carries its time.
type RunEvent interface {
	when() time.Time
	refusedBy(Run) error
	apply(*runTransition)
}

// RunStarted opens the first steps of a new run, unless it waits for its turn.
type RunStarted struct {
	Behind int // number of the run of its line that has to end before; 0 where there is none
	At     time.Time
}

// LineMoved says that a run of the same line ended, which one that waits may have waited for.
type LineMoved struct {
	Behind int // number of the run that it waits for now; 0: it is its turn
	At     time.Time
}

// StepLeased says that a worker has taken an attempt.
type StepLeased struct {
	Step    string
	Attempt int
	Worker  string
	At      time.Time
}

// StepReported is a worker's last word on an attempt.
type StepReported struct {
	Step      string
	Attempt   int
	Worker    string
	State     AttemptState // AttemptPassed, AttemptFailed or AttemptCanceled
	Reason    string
	ExitCode  int  // below 1 where the script did not decide the end: it took too long, or could not be run
	Unbegun   bool // the server could not begin it, and could not begin another
	Outputs   map[string]string
	Artifacts []Artifact
	At        time.Time
}

// StepLost says that a lease ran out.
type StepLost struct {
	Step    string
	Attempt int
	Reason  string
	At      time.Time
}

// StepDecided is what became of an approve step.
type StepDecided struct {
	Step   string
	State  ApprovalState // final
	Reason string        // who, and why
	At     time.Time
}

// DeploymentBegan says that an environment has begun with the run's release.
type DeploymentBegan struct {
	Step       string
	Deployment string
	Release    int
	At         time.Time
}

// DeploymentEnded is what became of the deployment of a deploy step.
type DeploymentEnded struct {
	Step       string
	Deployment string
	State      DeploymentState // final
	Reason     string
	At         time.Time
}

// CancelRequested is a person's wish to stop the run.
type CancelRequested struct {
	By string
	At time.Time
}

// Superseded says that a newer run has reached a gate that this one has not passed.
type Superseded struct {
	Gate string // step's name
	By   int    // number of the newer run
	At   time.Time
}

func (e RunStarted) when() time.Time      { return e.At }
func (e LineMoved) when() time.Time       { return e.At }
func (e StepLeased) when() time.Time      { return e.At }
func (e StepReported) when() time.Time    { return e.At }
func (e StepLost) when() time.Time        { return e.At }
func (e StepDecided) when() time.Time     { return e.At }
func (e DeploymentBegan) when() time.Time { return e.At }
func (e DeploymentEnded) when() time.Time { return e.At }
func (e CancelRequested) when() time.Time { return e.At }
func (e Superseded) when() time.Time      { return e.At }

func (e RunStarted) refusedBy(r Run) error {
	if !r.CreatedAt.IsZero() {
		return Errorf(CodeConflict, "run %d has already started", r.Number)
	}
	return nil
}

func (e RunStarted) apply(t *runTransition) {
	t.run.CreatedAt = e.At
	t.wait(e.Behind)
}

func (e LineMoved) refusedBy(r Run) error {
	switch {
	case r.State != RunWaiting:
		return Errorf(CodeConflict, "run %d waits for no other", r.Number)
	case r.WaitsFor == e.Behind:
		return Errorf(CodeConflict, "run %d waits for run %d already", r.Number, e.Behind)
	}
	return nil
}

func (e LineMoved) apply(t *runTransition) { t.wait(e.Behind) }

func (e StepLeased) refusedBy(r Run) error { return refuseAttempt(r, e.Step, e.Attempt, AttemptQueued) }

func (e StepLeased) apply(t *runTransition) {
	s := t.step(e.Step)
	s.State, s.StartedAt, s.Reason = StepRunning, e.At, ""
	s.Attempts = slices.Clone(s.Attempts)
	a := s.last()
	a.State, a.Worker, a.StartedAt = AttemptRunning, e.Worker, e.At
}

func (e StepReported) refusedBy(r Run) error {
	if err := refuseAttempt(r, e.Step, e.Attempt, AttemptRunning); err != nil {
		return err
	}
	if e.State != AttemptPassed && e.State != AttemptFailed && e.State != AttemptCanceled {
		return Errorf(CodeInvalid, "a worker cannot report %q", e.State)
	}
	if s, _ := r.Step(e.Step); s.last().Worker != e.Worker {
		return Errorf(CodeStale, "attempt %d of %q belongs to another worker", e.Attempt, e.Step)
	}
	return nil
}

func (e StepReported) apply(t *runTransition) {
	s := t.step(e.Step)
	t.endAttempt(s, e.State, e.Reason, e.ExitCode)
	switch e.State {
	case AttemptPassed:
		s.Outputs, s.Artifacts = e.Outputs, e.Artifacts
		t.end(s, StepPassed, e.Reason)
	case AttemptCanceled:
		t.end(s, StepCanceled, e.Reason)
	default:
		t.fail(s, e)
	}
}

// fail lets another attempt follow, where the step survives the failure.
func (t *runTransition) fail(s *Step, e StepReported) {
	if t.run.Stopping != "" || e.Unbegun || !s.survivesFailure(e.ExitCode) {
		t.end(s, StepFailed, e.Reason)
		return
	}
	s.Reason = e.Reason
	t.enqueue(s)
}

func (e StepLost) refusedBy(r Run) error { return refuseAttempt(r, e.Step, e.Attempt, AttemptRunning) }

func (e StepLost) apply(t *runTransition) {
	s := t.step(e.Step)
	t.endAttempt(s, AttemptLost, e.Reason, 0)
	switch {
	case t.run.Stopping != "":
		t.end(s, StepCanceled, e.Reason)
	case s.survivesLoss():
		s.Reason = e.Reason
		t.enqueue(s)
	default:
		t.end(s, StepFailed, e.Reason)
	}
}

func (e StepDecided) refusedBy(r Run) error {
	if e.State == ApprovalWaiting {
		return Errorf(CodeInvalid, "an approval that waits decides nothing")
	}
	return refuseStep(r, e.Step, KindApprove, StepWaiting)
}

func (e StepDecided) apply(t *runTransition) {
	s := t.step(e.Step)
	switch e.State {
	case ApprovalApproved:
		t.end(s, StepPassed, e.Reason)
	case ApprovalWithdrawn:
		t.end(s, StepCanceled, e.Reason)
	default:
		t.end(s, StepFailed, e.Reason)
	}
}

func (e DeploymentBegan) refusedBy(r Run) error {
	return refuseStep(r, e.Step, KindDeploy, StepWaiting)
}

func (e DeploymentBegan) apply(t *runTransition) {
	s := t.step(e.Step)
	s.State, s.StartedAt, s.Deployment, s.Release = StepRunning, e.At, e.Deployment, e.Release
}

func (e DeploymentEnded) refusedBy(r Run) error {
	if !e.State.IsFinal() {
		return Errorf(CodeInvalid, "a deployment that is %s has not ended", e.State)
	}
	return refuseStep(r, e.Step, KindDeploy, StepWaiting, StepRunning)
}

func (e DeploymentEnded) apply(t *runTransition) {
	s := t.step(e.Step)
	s.Deployment = e.Deployment
	switch e.State {
	case DeploymentLive:
		t.end(s, StepPassed, e.Reason)
	case DeploymentWithdrawn:
		t.end(s, StepCanceled, e.Reason)
	default:
		t.end(s, StepFailed, e.Reason)
	}
}

func (e CancelRequested) refusedBy(r Run) error { return refuseStopping(r) }

func (e CancelRequested) apply(t *runTransition) { t.stop(RunCanceled, "canceled by "+e.By) }

func (e Superseded) refusedBy(r Run) error {
	gate, ok := r.Step(e.Gate)
	switch {
	case e.By <= r.Number:
		return Errorf(CodeStale, "run %d is not older than run %d", r.Number, e.By)
	case r.IsDeploying():
		return Errorf(CodeConflict, "run %d is deploying", r.Number)
	case ok && gate.State.IsFinal():
		return Errorf(CodeConflict, "run %d is past %q", r.Number, e.Gate)
	}
	return refuseStopping(r)
}

func (e Superseded) apply(t *runTransition) {
	t.stop(RunSuperseded, fmt.Sprintf("superseded by run %d, which reached %s", e.By, e.Gate))
}

func refuseStopping(r Run) error {
	if r.Stopping != "" {
		return Errorf(CodeConflict, "run %d is already stopping", r.Number)
	}
	return nil
}

// refuseAttempt answers why an event about an attempt does not fit: it has to be the current one, in the given state.
func refuseAttempt(r Run, step string, attempt int, state AttemptState) error {
	s, ok := r.Step(step)
	switch {
	case !ok:
		return Errorf(CodeNotFound, "run %d has no step %q", r.Number, step)
	case s.Attempt() == 0 || s.Attempt() != attempt:
		return Errorf(CodeStale, "attempt %d of %q is not the current one", attempt, step)
	case s.last().State != state:
		return Errorf(CodeStale, "attempt %d of %q is %s", attempt, step, s.last().State)
	}
	return nil
}

func refuseStep(r Run, step string, kind StepKind, states ...StepState) error {
	s, ok := r.Step(step)
	switch {
	case !ok || s.Kind != kind:
		return Errorf(CodeNotFound, "run %d has no %s step %q", r.Number, kind, step)
	case !slices.Contains(states, s.State):
		return Errorf(CodeConflict, "%q is %s", step, s.State)
	}
	return nil
}
