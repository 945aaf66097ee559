package towpath

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// RunState is where a run stands.
type RunState string

// The states of a run; all but the first two are final.
const (
	RunWaiting    RunState = "waiting" // for another run of its line to end
	RunRunning    RunState = "running"
	RunPassed     RunState = "passed"
	RunFailed     RunState = "failed"
	RunCanceled   RunState = "canceled"
	RunSuperseded RunState = "superseded" // a newer run of the branch reached the same gate
)

// RunStates lists every state.
var RunStates = []RunState{RunWaiting, RunRunning, RunPassed, RunFailed, RunCanceled, RunSuperseded}

// UnfinishedRuns are the states that are not final.
var UnfinishedRuns = []RunState{RunWaiting, RunRunning}

// IsFinal says that nothing more will happen to the run.
func (s RunState) IsFinal() bool { return !slices.Contains(UnfinishedRuns, s) }

// Run is a pipeline at one revision, on its way through its steps. Its graph is frozen when it is made.
type Run struct {
	ID           string
	Project      string // project's ID
	Pipeline     string
	Number       int // counts from 1 in its pipeline, in the order in which changes were seen
	Change       Change
	Concurrency  Concurrency
	Environments []EnvironmentDefinition // as the file has them at this revision
	Alerts       map[AlertKind][]string
	Repeats      *Repetition `json:",omitempty"` // nil: the run is the first of its change
	Shell        *Shell      `json:",omitempty"` // a person has one in the place of a step's script; nil: nobody
	State        RunState
	Reason       string   // why it ended so, for people
	WaitsFor     int      `json:",omitempty"` // number of the run that one which is waiting waits for
	Stopping     RunState // RunCanceled or RunSuperseded while steps that run are still ending; else empty
	Steps        []Step   // in the order of the file
	CreatedAt    time.Time
	FinishedAt   time.Time
}

// NewRun makes a run of a pipeline. Nothing is ready before the event RunStarted.
func NewRun(id, project string, number int, p Pipeline, c Change) Run {
	steps := make([]Step, len(p.Steps))
	for i, d := range p.Steps {
		steps[i] = Step{StepDefinition: d, State: StepPending}
	}
	return Run{
		ID: id, Project: project, Pipeline: p.Name, Number: number, Change: c,
		Concurrency: p.Concurrency, Environments: p.Environments, Alerts: p.Alerts, State: RunRunning, Steps: steps,
	}
}

// Step answers a step by name.
func (r Run) Step(name string) (Step, bool) {
	i := r.index(name)
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}

// Environment answers the definition of an environment as it is at the run's revision.
func (r Run) Environment(name string) (EnvironmentDefinition, bool) {
	return Pipeline{Environments: r.Environments}.Environment(name)
}

// IsDeploying says that a deployment of the run is under way: nothing stops it from outside.
func (r Run) IsDeploying() bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Kind == KindDeploy && s.State == StepRunning })
}

// Behind answers every step that the named one needs, directly or not, in the order of the file.
func (r Run) Behind(name string) []Step {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(n string) {
		s, _ := r.Step(n)
		for _, need := range s.Needs {
			if !seen[need] {
				seen[need] = true
				visit(need)
			}
		}
	}
	visit(name)
	return slices.DeleteFunc(slices.Clone(r.Steps), func(s Step) bool { return !seen[s.Name] })
}

// Next answers the run after the event, and what has to be done because of it. An event that is stale, doubled or does
// not fit leaves the run as it is, without effects; Refuses says why.
func (r Run) Next(e RunEvent) (Run, []Effect) {
	if r.Refuses(e) != nil {
		return r, nil
	}
	r.Steps = slices.Clone(r.Steps)
	t := &runTransition{run: r, at: e.when()}
	e.apply(t)
	t.settle()
	return t.run, t.effects
}

// Refuses answers why the event does not fit the run now: CodeStale where the attempt is no longer the current one,
// CodeConflict where the run or the step is in another state, CodeNotFound where there is no such step.
func (r Run) Refuses(e RunEvent) error {
	if r.State.IsFinal() {
		return Errorf(CodeConflict, "run %d is already %s", r.Number, r.State)
	}
	return e.refusedBy(r)
}

func (r Run) index(step string) int {
	return slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == step })
}

// runTransition is one call of Next: the run as it becomes, and the effects so far.
type runTransition struct {
	run     Run
	effects []Effect
	at      time.Time
}

func (t *runTransition) emit(e Effect) { t.effects = append(t.effects, e) }

func (t *runTransition) step(name string) *Step { return &t.run.Steps[t.run.index(name)] }

// end closes a step.
func (t *runTransition) end(s *Step, state StepState, reason string) {
	s.State, s.Reason, s.FinishedAt = state, reason, t.at
	if state == StepFailed && !t.hasFailed(s.Name) && t.run.Shell == nil {
		t.emit(AnnounceRun{Run: t.run.ID, State: RunFailed, Step: s.Name})
	}
}

func (t *runTransition) hasFailed(except string) bool {
	return slices.ContainsFunc(t.run.Steps, func(s Step) bool { return s.State == StepFailed && s.Name != except })
}

// enqueue adds an attempt of a script step.
func (t *runTransition) enqueue(s *Step) {
	s.Attempts = append(slices.Clone(s.Attempts), Attempt{Number: len(s.Attempts) + 1, State: AttemptQueued})
	s.State, s.ReadyAt = StepQueued, t.at
	t.emit(EnqueueStep{Run: t.run.ID, Step: s.Name, Attempt: s.Attempt()})
}

// endAttempt closes the current attempt of a step.
func (t *runTransition) endAttempt(s *Step, state AttemptState, reason string, exitCode int) {
	s.Attempts = slices.Clone(s.Attempts)
	a := s.last()
	a.State, a.Reason, a.ExitCode, a.FinishedAt = state, reason, exitCode, t.at
}

// settle opens what has become ready, skips what cannot run any more, and ends the run when every step has ended.
// Skipping a step may settle others, so it goes round until nothing changes.
func (t *runTransition) settle() {
	if t.run.State == RunWaiting && t.run.Stopping == "" {
		return
	}
	for t.settleOnce() {
	}
	if slices.ContainsFunc(t.run.Steps, func(s Step) bool { return !s.State.IsFinal() }) {
		return
	}
	t.run.State, t.run.Reason = t.outcome()
	t.run.Stopping, t.run.WaitsFor, t.run.FinishedAt = "", 0, t.at
	t.emit(StartNext{Run: t.run.ID})
	if t.run.State == RunPassed && t.run.IsPartial() || t.run.Shell != nil {
		return // it says nothing of the pipeline
	}
	if t.run.State == RunPassed {
		t.emit(StartDownstream{Run: t.run.ID})
	}
	if t.run.State != RunFailed { // a failure was announced when its step failed
		t.emit(AnnounceRun{Run: t.run.ID, State: t.run.State})
	}
}

func (t *runTransition) settleOnce() (changed bool) {
	for i := range t.run.Steps {
		s := &t.run.Steps[i]
		if s.State == StepPending && t.needsEnded(s) {
			t.open(s)
			changed = true
		}
	}
	return changed
}

func (t *runTransition) needsEnded(s *Step) bool {
	for _, need := range s.Needs {
		if !t.step(need).State.IsFinal() {
			return false
		}
	}
	return true
}

// open decides what becomes of a step whose needs have ended.
func (t *runTransition) open(s *Step) {
	if reason, barred := t.skips(s); reason != "" {
		s.Barred = barred
		t.end(s, StepSkipped, reason)
		return
	}
	if s.Kind.IsGate() && t.run.Concurrency == ConcurrencySupersede {
		t.emit(SupersedeOlder{Run: t.run.ID, Gate: s.Name})
	}
	s.ReadyAt = t.at
	switch s.Kind {
	case KindApprove:
		s.State, s.StartedAt = StepWaiting, t.at
		t.emit(AskApproval{Run: t.run.ID, Step: s.Name})
	case KindDeploy:
		s.State = StepWaiting
		t.emit(RequestDeployment{Run: t.run.ID, Step: s.Name})
	default:
		t.enqueue(s)
	}
}

// skips says why a step does not run although its needs have ended, and whether that bars the steps behind it.
func (t *runTransition) skips(s *Step) (reason string, barred bool) {
	failed := t.failedNeed(s)
	switch {
	case s.Excluded != "":
		return s.Excluded, s.Kind.IsGate() || failed != ""
	case s.When == WhenFailed && failed == "":
		return "nothing it needs failed", false
	case s.When == WhenPassed && failed != "":
		return failed, true
	}
	if used := t.missingArtifact(s); used != "" {
		return fmt.Sprintf("%s was skipped, so its artifacts are missing", used), true
	}
	return "", false
}

// failedNeed says which need keeps a step from running in the usual case.
func (t *runTransition) failedNeed(s *Step) string {
	for _, name := range s.Needs {
		need := t.step(name)
		switch {
		case need.State == StepFailed || need.State == StepCanceled:
			return name + " " + string(need.State)
		case need.Barred:
			return name + " did not run"
		}
	}
	return ""
}

// missingArtifact names a skipped step whose artifacts this one uses.
func (t *runTransition) missingArtifact(s *Step) string {
	uses := s.Ships
	if s.Script != nil {
		uses = s.Script.Uses
	}
	for _, name := range uses {
		used := t.step(name)
		if used.State == StepSkipped && used.Script != nil && len(used.Script.Artifacts) > 0 {
			return name
		}
	}
	return ""
}

// outcome is the state of a run all of whose steps have ended.
func (t *runTransition) outcome() (RunState, string) {
	if t.run.Stopping != "" {
		return t.run.Stopping, t.run.Reason
	}
	if t.run.Shell != nil { // which says nothing of the pipeline, neither good nor bad
		return RunCanceled, "a debug shell stood in the place of " + t.run.Shell.Step
	}
	var failed []string
	for _, s := range t.run.Steps {
		if s.State == StepFailed {
			failed = append(failed, s.Name)
		}
	}
	if len(failed) > 0 {
		return RunFailed, strings.Join(failed, ", ") + " failed"
	}
	return RunPassed, ""
}

// wait lets the run begin only once another has ended; 0 is that it need not wait.
func (t *runTransition) wait(behind int) {
	t.run.WaitsFor, t.run.State, t.run.Reason = behind, RunRunning, ""
	if behind > 0 {
		t.run.State, t.run.Reason = RunWaiting, fmt.Sprintf("run %d goes before", behind)
	}
}

// stop ends what has not begun, asks what runs to end, and leaves a deployment that is under way alone. One that waits for
// its turn is asked back: the environment says whether it was withdrawn, or goes on to its end.
func (t *runTransition) stop(state RunState, reason string) {
	t.run.Stopping, t.run.Reason = state, reason
	for i := range t.run.Steps {
		t.stopStep(&t.run.Steps[i], reason)
	}
}

func (t *runTransition) stopStep(s *Step, reason string) {
	switch {
	case s.State.IsFinal():
	case s.State == StepRunning && s.Kind == KindDeploy:
	case s.State == StepRunning:
		t.emit(StopStep{Run: t.run.ID, Step: s.Name, Attempt: s.Attempt(), Reason: reason})
	case s.State == StepQueued:
		t.emit(StopStep{Run: t.run.ID, Step: s.Name, Attempt: s.Attempt(), Reason: reason})
		t.endAttempt(s, AttemptCanceled, reason, 0)
		t.end(s, StepCanceled, reason)
	case s.State == StepWaiting && s.Kind == KindApprove:
		t.emit(WithdrawApproval{Run: t.run.ID, Step: s.Name})
		t.end(s, StepCanceled, reason)
	case s.State == StepWaiting: // its environment may have begun with it, and is the only one to know
		t.emit(WithdrawDeployment{Run: t.run.ID, Step: s.Name})
		s.Reason = reason
	default:
		t.end(s, StepCanceled, reason)
	}
}
