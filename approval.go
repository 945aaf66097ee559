package towpath

import (
	"slices"
	"time"
)

// ApprovalState is where an approval stands.
type ApprovalState string

// The states of an approval; all but the first are final.
const (
	ApprovalWaiting   ApprovalState = "waiting"
	ApprovalApproved  ApprovalState = "approved"
	ApprovalRejected  ApprovalState = "rejected"
	ApprovalExpired   ApprovalState = "expired"
	ApprovalWithdrawn ApprovalState = "withdrawn" // its run was cancelled or superseded
)

// ApprovalStates lists every state.
var ApprovalStates = []ApprovalState{
	ApprovalWaiting, ApprovalApproved, ApprovalRejected, ApprovalExpired, ApprovalWithdrawn,
}

// Approval is a request to a group to let a run go on, and what came of it.
type Approval struct {
	ID         string // "RUN/STEP": a run asks once a step
	Project    string
	Run        string // run's ID
	RunNumber  int
	Step       string
	State      ApprovalState
	By         []string // accounts and groups who may decide
	Count      int      // how many have to approve
	Author     bool     // the change's author may decide
	AuthoredBy string   // the change's author, by e-mail address
	Message    string
	Intent     string // digest of what was shown: revision, artifacts, environments, policy. A decision binds to it
	AskedAt    time.Time
	ExpiresAt  time.Time
	Decisions  []Decision
	EndedAt    time.Time
}

// Decision is one person's answer.
type Decision struct {
	Account  string // name
	Approved bool
	Reason   string
	At       time.Time
}

// Decide takes one person's decision in. One rejection rejects; Count approvals of different people approve. It answers
// CodeConflict where the approval is over, or the same person has decided already. Whether the person may decide is
// the caller's question (package approval).
func (a Approval) Decide(d Decision) (Approval, error) {
	if a.State != ApprovalWaiting {
		return a, Errorf(CodeConflict, "the approval of %q is already %s", a.Step, a.State)
	}
	if !d.At.Before(a.ExpiresAt) {
		return a, Errorf(CodeConflict, "the approval of %q expired at %s", a.Step, a.ExpiresAt.Format(time.RFC3339))
	}
	for _, earlier := range a.Decisions {
		if earlier.Account == d.Account {
			return a, Errorf(CodeConflict, "%s has already decided on %q", d.Account, a.Step)
		}
	}
	a.Decisions = append(slices.Clone(a.Decisions), d)
	switch {
	case !d.Approved:
		a.State = ApprovalRejected
	case len(a.Decisions) >= a.Count:
		a.State = ApprovalApproved
	}
	if a.State != ApprovalWaiting {
		a.EndedAt = d.At
	}
	return a, nil
}

// End closes an approval that waits, without a decision. One that is over stays as it is.
func (a Approval) End(state ApprovalState, at time.Time) Approval {
	if a.State == ApprovalWaiting {
		a.State, a.EndedAt = state, at
	}
	return a
}
