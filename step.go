package towpath

import "time"

// StepState is where a step of a run stands.
type StepState string

// The states of a step. Passed, failed, skipped and canceled are final.
const (
	StepPending  StepState = "pending" // what it needs has not ended
	StepQueued   StepState = "queued"  // ready; no worker has taken it yet
	StepRunning  StepState = "running" // a worker runs it, or its deployment is under way
	StepWaiting  StepState = "waiting" // for people to decide, or for its turn in the environment
	StepPassed   StepState = "passed"
	StepFailed   StepState = "failed"
	StepSkipped  StepState = "skipped"
	StepCanceled StepState = "canceled"
)

// StepStates lists every state.
var StepStates = []StepState{
	StepPending, StepQueued, StepRunning, StepWaiting, StepPassed, StepFailed, StepSkipped, StepCanceled,
}

// IsFinal says that nothing more will happen to the step.
func (s StepState) IsFinal() bool {
	return s == StepPassed || s == StepFailed || s == StepSkipped || s == StepCanceled
}

// Step is a step of one run: its frozen definition and what became of it.
type Step struct {
	StepDefinition
	State      StepState
	Reason     string // why it is in this state, for people
	Barred     bool   // skipped in a way that keeps the steps behind it from running
	From       int    `json:",omitempty"` // number of the run in which it ended, where this run repeats that one; else 0
	Attempts   []Attempt
	ReadyAt    time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	Outputs    map[string]string
	Artifacts  []Artifact
	Release    int    // number of the release, for a deploy step
	Deployment string // ID, for a deploy step
}

// Attempt is the number of the current attempt; 0 before the first.
func (s Step) Attempt() int { return len(s.Attempts) }

// last answers the current attempt, to be changed in place.
func (s *Step) last() *Attempt { return &s.Attempts[len(s.Attempts)-1] }

// AttemptState is where one attempt of a step stands.
type AttemptState string

// The states of an attempt; all but the first two are final.
const (
	AttemptQueued   AttemptState = "queued"
	AttemptRunning  AttemptState = "running"
	AttemptPassed   AttemptState = "passed"
	AttemptFailed   AttemptState = "failed"
	AttemptLost     AttemptState = "lost" // the worker did not renew its lease
	AttemptCanceled AttemptState = "canceled"
)

// Attempt is one try of a step on one worker.
type Attempt struct {
	Number     int // counts from 1
	State      AttemptState
	Worker     string // worker's ID
	Reason     string
	ExitCode   int
	StartedAt  time.Time
	FinishedAt time.Time
}
