package towpath

import "time"

// Cause says why a release became the goal of an environment.
type Cause string

// The causes.
const (
	CauseRun      Cause = "run"      // a deploy step
	CauseManual   Cause = "manual"   // a person named the release
	CauseRollback Cause = "rollback" // a person asked to go back
	CauseRemoval  Cause = "removal"  // a person asked that nothing is left
)

// DeploymentState is where a deployment stands.
type DeploymentState string

// The states of a deployment.
const (
	DeploymentWaiting   DeploymentState = "waiting"   // for its turn in the environment, or for a window
	DeploymentRunning   DeploymentState = "running"   // its release is the goal
	DeploymentReturning DeploymentState = "returning" // it failed or was rolled back; the live release is the goal again
	DeploymentLive      DeploymentState = "live"      // its release serves
	DeploymentReturned  DeploymentState = "returned"  // the release that was live before it serves again
	DeploymentHalted    DeploymentState = "halted"    // going back failed too; the healthier side serves
	DeploymentRefused   DeploymentState = "refused"   // it never began; the reason says why
	DeploymentWithdrawn DeploymentState = "withdrawn" // its run was stopped before it began
	DeploymentRemoved   DeploymentState = "removed"   // nothing is left of the environment, as a person asked
)

// DeploymentStates lists every state.
var DeploymentStates = []DeploymentState{
	DeploymentWaiting, DeploymentRunning, DeploymentReturning, DeploymentLive,
	DeploymentReturned, DeploymentHalted, DeploymentRefused, DeploymentWithdrawn, DeploymentRemoved,
}

// IsFinal says that nothing more will happen to the deployment.
func (s DeploymentState) IsFinal() bool {
	return s != DeploymentWaiting && s != DeploymentRunning && s != DeploymentReturning
}

// Deployment is one release's way into an environment.
type Deployment struct {
	ID          string
	Environment string // key
	Release     ReleaseRef
	From        ReleaseRef // live when it began
	Cause       Cause
	By          string                 // account, or the change's author
	Reason      string                 // what the person gave as reason
	Run, Step   string                 // the deploy step that waits for it; empty for a person's wish
	Ref         string                 // branch of the release's change
	Definition  *EnvironmentDefinition // to be adopted with it; nil keeps the current one
	State       DeploymentState
	Outcome     string // why it is in that state, for people
	RequestedAt time.Time
	BeganAt     time.Time
	EndedAt     time.Time
	AllowedBy   string    `json:",omitempty"` // who let it start although no window was open
	AllowedFor  string    `json:",omitempty"` // the reason
	AllowedAt   time.Time `json:",omitzero"`
	PromotedBy  string    // who let the traffic move, where the strategy waits for a person
	PromotedAt  time.Time
	Hooks       []HookReceipt `json:",omitempty"`
	WatchedAt   time.Time     `json:",omitzero"`  // when its watch began, before its release has traffic; zero where it has not
	Baseline    []Served      `json:",omitempty"` // what had been answered by then
	TrafficAt   time.Time     `json:",omitzero"`  // when a release that is watched was first seen with traffic: its time begins
	CanaryStep  int           `json:",omitempty"` // of a canary: the one that it is at, from 0; as many as there are where all are over
	StepAt      time.Time     `json:",omitzero"`  // since when its release has the share of that step; zero where it has it not yet
	TestedAt    time.Time     // when the strategy's test passed against the idle side; zero where it has not
}

// IsReturning says that the deployment is on its way back.
func (d Deployment) IsReturning() bool { return d.State == DeploymentReturning }
