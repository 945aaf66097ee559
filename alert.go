package towpath

import "time"

// AlertKind is what people are told of.
type AlertKind string

// The kinds of alerts.
const (
	AlertBroke      AlertKind = "broke"       // a run failed, and the one before it on that branch had passed
	AlertStillBroke AlertKind = "still-broke" // it failed again
	AlertFixed      AlertKind = "fixed"       // it passes again
	AlertApproval   AlertKind = "approval"    // a decision is wanted
	AlertDeployed   AlertKind = "deployed"    // a release is live
	AlertReturned   AlertKind = "returned"    // an environment went back to the release before
	AlertHalted     AlertKind = "halted"      // a person has to look: going back failed as well, or nobody knows what a hook has done
	AlertStorage    AlertKind = "storage"     // the server cannot write: its disk is full, or worse; new work waits
)

// AlertKinds lists every kind.
var AlertKinds = []AlertKind{
	AlertBroke, AlertStillBroke, AlertFixed, AlertApproval, AlertDeployed, AlertReturned, AlertHalted, AlertStorage,
}

// Alert is one thing that people are told, once.
type Alert struct {
	Key         string // names the transition, so that it is told once
	Kind        AlertKind
	Project     string // project's ID
	Run         string // run's ID; may be empty
	RunNumber   int
	Step        string
	Environment string // "pipeline/name"; may be empty
	Subject     string // one line: what happened to what
	Text        string // why, and what to do
	To          []string
	At          time.Time
}
