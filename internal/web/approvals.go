package web

import (
	"net/http"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) approvals(c call[none]) ([]client.Approval, error) {
	projects, err := s.visible(c.Request, c.Caller, "")
	if err != nil {
		return nil, err
	}
	found := []client.Approval{}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		waiting, err := tx.Approvals(store.ApprovalFilter{
			Projects: projects, States: []towpath.ApprovalState{towpath.ApprovalWaiting}, Limit: listedMost,
		})
		if err != nil {
			return err
		}
		for _, a := range waiting {
			run, _, err := tx.Run(a.Run)
			if err != nil {
				return err
			}
			found = append(found, approvalOf(a, run))
		}
		return nil
	})
	return found, err
}

func approvalOf(a towpath.Approval, run towpath.Run) client.Approval {
	answer := client.Approval{
		Pipeline: run.Pipeline, Run: run.Number, Step: a.Step, State: string(a.State), By: a.By, Count: a.Count,
		Message: a.Message, Intent: a.Intent, AskedAt: a.AskedAt, ExpiresAt: a.ExpiresAt,
	}
	for _, d := range a.Decisions {
		answer.Decisions = append(answer.Decisions, client.Decision{
			Account: d.Account, Approved: d.Approved, Reason: d.Reason, Intent: a.Intent, At: d.At,
		})
	}
	return answer
}

func (s *Server) approval(c call[none]) (client.Approval, error) { return s.readApproval(c.Request) }

// readApproval answers the request that a path names, with the plan of every deployment behind it.
func (s *Server) readApproval(r *http.Request) (answer client.Approval, err error) {
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		run, a, err := approvalIn(tx, r)
		if err != nil {
			return err
		}
		answer = approvalOf(a, run)
		if answer.Tests, err = testsOfRun(tx, run.ID); err != nil {
			return err
		}
		step, _ := run.Step(a.Step)
		answer.Plans, err = s.plansBehind(tx, run, step)
		return err
	})
	return answer, err
}

func approvalIn(tx *store.Tx, r *http.Request) (towpath.Run, towpath.Approval, error) {
	run, err := runIn(tx, r)
	if err != nil {
		return run, towpath.Approval{}, err
	}
	a, _, err := tx.Approval(approval.ID(run.ID, r.PathValue("step")))
	return run, a, err
}

// plansBehind forecasts what the deployments behind an approve step would do now.
func (s *Server) plansBehind(tx *store.Tx, run towpath.Run, step towpath.Step) ([]client.Plan, error) {
	release, err := s.releaseToCome(tx, run)
	if err != nil {
		return nil, err
	}
	var plans []client.Plan
	for _, d := range approval.Deploys(run, step) {
		facts, err := s.factsFor(tx, towpath.EnvironmentKey(run.Pipeline, d.Name), run.Project, d)
		if err != nil {
			return nil, err
		}
		facts.Environment = aimed(facts.Environment, release, &d, facts.Now)
		plans = append(plans, planOf(facts))
	}
	return plans, nil
}

// releaseToCome answers the release that the run made already, or else the number that it would get now.
func (s *Server) releaseToCome(tx *store.Tx, run towpath.Run) (towpath.ReleaseRef, error) {
	made, err := tx.ReleasesOfRun(run.ID)
	if err == nil && len(made) > 0 {
		return made[len(made)-1].Ref(), nil
	}
	newest, err := tx.Releases(store.ReleaseFilter{Pipeline: run.Pipeline, Limit: 1})
	to := towpath.Release{Number: 1, Change: run.Number, Revision: run.Change.Revision, Title: run.Change.Title()}
	if len(newest) > 0 {
		to.Number = newest[0].Number + 1
	}
	return to.Ref(), err
}

// factsFor gathers what is known of an environment; one that does not exist yet is as its definition makes it.
func (s *Server) factsFor(tx *store.Tx, key, project string, d towpath.EnvironmentDefinition) (deploy.Facts, error) {
	now := s.Clock()
	facts := deploy.Facts{Now: now}
	known, err := tx.Environments(store.EnvironmentFilter{Projects: []string{project}})
	if err != nil {
		return facts, err
	}
	for _, e := range known {
		if e.Key == key {
			facts.Environment = e
			facts.Observed, _, err = tx.Observation(key)
			return facts, err
		}
	}
	pipeline := key[:len(key)-len(d.Name)-1]
	facts.Environment = towpath.NewEnvironment(project, pipeline, d, now)
	return facts, nil
}

// decide takes the caller's decision.
func (s *Server) decide(c call[client.Decision]) (client.Approval, error) {
	var run towpath.Run
	var asked towpath.Approval
	err := s.Store.View(c.Context(), func(tx *store.Tx) (err error) {
		run, asked, err = approvalIn(tx, c.Request)
		return err
	})
	if err != nil {
		return client.Approval{}, err
	}
	decided, err := s.Flow.Decide(c.Context(), asked.ID, c.Body.Intent,
		towpath.Decision{Account: c.Name, Approved: c.Body.Approved, Reason: c.Body.Reason},
		s.record(c.Caller, verb(c.Body.Approved), runName(run)+" "+asked.Step, c.Body.Reason))
	return approvalOf(decided, run), err
}

func verb(approved bool) string {
	if approved {
		return "approve"
	}
	return "reject"
}
