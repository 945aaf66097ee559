package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/store"
)

// ask makes the request of an approve step.
func (a *act) ask(e towpath.AskApproval) error {
	run, _, err := a.tx.Run(e.Run)
	if err != nil {
		return err
	}
	step, _ := run.Step(e.Step)
	if step.State != towpath.StepWaiting {
		return nil // the run was stopped meanwhile
	}
	request := approval.Ask(run, step, a.at)
	if err := a.tx.CreateApproval(request); err != nil {
		return err
	}
	a.ring(TopicRuns, TopicRun(run.ID))
	return a.settle(run.Project, run, []towpath.Effect{towpath.AnnounceApproval{Approval: request.ID}})
}

func (a *act) withdrawApproval(e towpath.WithdrawApproval) error {
	return a.endApproval(approval.ID(e.Run, e.Step), towpath.ApprovalWithdrawn)
}

func (a *act) endApproval(id string, state towpath.ApprovalState) error {
	request, version, err := a.tx.Approval(id)
	if err != nil {
		return err
	}
	return a.tx.SaveApproval(request.End(state, a.at), version)
}

// Decide takes a person's decision. The intent is the digest of what the person was shown: where it is not the
// request's, the decision is refused.
func (c *Conductor) Decide(ctx context.Context, id, intent string, d towpath.Decision, record func(*store.Tx) error) (towpath.Approval, error) {
	var decided towpath.Approval
	err := c.update(ctx, func(a *act) error {
		request, version, err := a.tx.Approval(id)
		if err != nil {
			return err
		}
		d.At = a.at
		if decided, err = approval.Decide(a.tx, request, intent, d); err != nil {
			return err
		}
		if err := a.tx.SaveApproval(decided, version); err != nil {
			return err
		}
		if err := record(a.tx); err != nil {
			return err
		}
		a.ring(TopicRuns, TopicRun(decided.Run))
		return a.tellDecision(decided)
	})
	return decided, err
}

// tellDecision lets the run go on, or stop, once the request is over.
func (a *act) tellDecision(request towpath.Approval) error {
	if request.State == towpath.ApprovalWaiting {
		return nil
	}
	_, err := a.runHappens(request.Run, towpath.StepDecided{
		Step: request.Step, State: request.State, Reason: approval.Outcome(request), At: a.at,
	})
	return unlessRefused(err)
}

// expireApprovals ends the requests that nobody decided in time.
func (a *act) expireApprovals() error {
	expired, err := a.tx.ExpiredApprovals(a.at, changesBatch)
	if err != nil {
		return err
	}
	for _, request := range expired {
		if err := a.endApproval(request.ID, towpath.ApprovalExpired); err != nil {
			return err
		}
		if err := a.tellDecision(request.End(towpath.ApprovalExpired, a.at)); err != nil {
			return err
		}
	}
	return nil
}
