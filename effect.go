package towpath

import "fmt"

// Effect is something that has to be done because an aggregate changed. Effects are saved with the change, and carried
// out after the commit, at least once: the key lets whoever carries one out see that it was done before.
type Effect interface {
	// Key names the effect: the same transition of the same aggregate has the same key, however often it is computed.
	Key() string
}

// The effects of a run.
type (
	// EnqueueStep makes an attempt of a step available to workers.
	EnqueueStep struct {
		Run, Step string
		Attempt   int
	}
	// StopStep takes an attempt from the queue, or tells its worker to end it.
	StopStep struct {
		Run, Step string
		Attempt   int
		Reason    string
	}
	// AskApproval asks the people of an approve step.
	AskApproval struct{ Run, Step string }
	// AnnounceApproval tells the people who may decide.
	AnnounceApproval struct{ Approval string } // ID
	// WithdrawApproval takes the request back.
	WithdrawApproval struct{ Run, Step string }
	// RequestDeployment makes a release of the run the wish of an environment.
	RequestDeployment struct{ Run, Step string }
	// WithdrawDeployment takes the wish back, if the environment has not begun with it.
	WithdrawDeployment struct{ Run, Step string }
	// SupersedeOlder stops older runs of the same pipeline and branch that have not passed this gate.
	SupersedeOlder struct{ Run, Gate string }
	// StartNext lets the run begin that waited for this one to end.
	StartNext struct{ Run string }
	// StartDownstream starts the pipelines that run after this one has passed.
	StartDownstream struct{ Run string }
	// AnnounceRun tells people that a run failed, or that it is over.
	AnnounceRun struct {
		Run   string
		State RunState // RunFailed as soon as the first step failed
		Step  string   // the step that failed first
	}
)

// The effects of an environment.
type (
	// RecordDeployment keeps the deployment as it now is, for its page and for history.
	RecordDeployment struct{ Deployment Deployment }
	// TellStep tells the deploy step of a run what became of its deployment.
	TellStep struct{ Deployment Deployment }
	// AnnounceDeployment tells people what became of a deployment.
	AnnounceDeployment struct{ Deployment Deployment }
	// WakeKeeper tells the environment's keeper that there is something to do.
	WakeKeeper struct {
		Environment string
		Serial      int // rises with every change of the goal, so that each wake-up is an effect of its own
	}
)

// The effects of whatever belongs to a commit that a forge shows.
type (
	// ShowRunStatus shows how a run fares beside its commit.
	ShowRunStatus struct {
		Run   string
		State RunState
	}
	// ShowDeploymentStatus shows how a deployment fares beside the commit of its release.
	ShowDeploymentStatus struct{ Deployment Deployment }
)

// Key implements Effect.
func (e ShowRunStatus) Key() string { return fmt.Sprintf("status/%s/%s", e.Run, e.State) }

// Key implements Effect.
func (e ShowDeploymentStatus) Key() string {
	return fmt.Sprintf("status/%s/%s", e.Deployment.ID, e.Deployment.State)
}

// Key implements Effect.
func (e EnqueueStep) Key() string { return fmt.Sprintf("enqueue/%s/%s/%d", e.Run, e.Step, e.Attempt) }

// Key implements Effect.
func (e StopStep) Key() string { return fmt.Sprintf("stop/%s/%s/%d", e.Run, e.Step, e.Attempt) }

// Key implements Effect.
func (e AskApproval) Key() string { return "ask/" + e.Run + "/" + e.Step }

// Key implements Effect.
func (e AnnounceApproval) Key() string { return "announce/approval/" + e.Approval }

// Key implements Effect.
func (e WithdrawApproval) Key() string { return "unask/" + e.Run + "/" + e.Step }

// Key implements Effect.
func (e RequestDeployment) Key() string { return "deploy/" + e.Run + "/" + e.Step }

// Key implements Effect.
func (e WithdrawDeployment) Key() string { return "undeploy/" + e.Run + "/" + e.Step }

// Key implements Effect.
func (e SupersedeOlder) Key() string { return "supersede/" + e.Run + "/" + e.Gate }

// Key implements Effect.
func (e StartNext) Key() string { return "next/" + e.Run }

// Key implements Effect.
func (e StartDownstream) Key() string { return "downstream/" + e.Run }

// Key implements Effect.
func (e AnnounceRun) Key() string { return fmt.Sprintf("announce/%s/%s", e.Run, e.State) }

// Key implements Effect.
func (e RecordDeployment) Key() string {
	d := e.Deployment
	return fmt.Sprintf("record/%s/%s/%t/%t", d.ID, d.State, !d.TestedAt.IsZero(), d.PromotedBy != "")
}

// Key implements Effect.
func (e TellStep) Key() string { return fmt.Sprintf("tell/%s/%s", e.Deployment.ID, e.Deployment.State) }

// Key implements Effect.
func (e AnnounceDeployment) Key() string {
	return fmt.Sprintf("announce/%s/%s", e.Deployment.ID, e.Deployment.State)
}

// Key implements Effect.
func (e WakeKeeper) Key() string { return fmt.Sprintf("wake/%s/%d", e.Environment, e.Serial) }
