package web

import (
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) approvalListPage(c call[none]) (templ.Component, error) {
	view := page.Approvals{Frame: s.frame(c.Caller, "/approvals", "Approvals")}
	var err error
	view.Mine, view.Others, err = s.approvalsBy(c)
	return page.ApprovalList(view), err
}

// approvalsBy answers the requests that wait for the caller, and those that wait for others.
func (s *Server) approvalsBy(c call[none]) (mine, others []client.Approval, err error) {
	all, err := s.approvals(c)
	if err != nil {
		return nil, nil, err
	}
	return mine, others, s.Store.View(c.Context(), func(tx *store.Tx) error {
		for _, a := range all {
			project, err := tx.PipelineProject(a.Pipeline)
			if err != nil {
				return err
			}
			if c.Can(access.Approve, project) && c.IsAmong(a.By) && !hasDecided(a, c.Name) {
				mine = append(mine, a)
			} else {
				others = append(others, a)
			}
		}
		return nil
	})
}

func hasDecided(a client.Approval, name string) bool {
	return slices.ContainsFunc(a.Decisions, func(d client.Decision) bool { return d.Account == name })
}

func (s *Server) approvalPage(c call[none]) (templ.Component, error) {
	asked, err := s.readApproval(c.Request)
	if err != nil {
		return nil, err
	}
	view := page.Approval{Frame: s.frame(c.Caller, "", "Approve "+asked.Step), Approval: asked}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		run, request, err := approvalIn(tx, c.Request)
		if err != nil {
			return err
		}
		view.Email, view.Message, view.Files = run.Change.AuthorEmail, run.Change.Message, run.Change.Files
		view.WhyNot = whyNotDecide(c.Caller, request)
		view.CanDecide = view.WhyNot == "" && request.State == towpath.ApprovalWaiting
		view.Run, err = wholeRun(tx, run, s.Clock())
		return err
	})
	return page.ApprovalPage(view), err
}

// whyNotDecide says to a person why they cannot decide on a request that waits. Who decides is what leg 5 says when the
// decision comes; here the buttons are left out that it would refuse.
func whyNotDecide(c access.Caller, a towpath.Approval) string {
	decided := slices.ContainsFunc(a.Decisions, func(d towpath.Decision) bool { return d.Account == c.Name })
	switch {
	case a.State != towpath.ApprovalWaiting:
		return ""
	case decided:
		return "You have decided; it waits for others."
	case !c.IsAmong(a.By):
		return "You were not asked: it is for " + strings.Join(a.By, ", ") + "."
	case !c.Can(access.Approve, c.Project.ID):
		return "You were asked, but your role does not allow you to approve: ask an administrator for another role."
	case !a.Author && c.Email != "" && strings.EqualFold(c.Email, a.AuthoredBy):
		return "You are the author of this change, so somebody else has to decide."
	}
	return ""
}

func (s *Server) decideByForm(c call[none]) (string, error) {
	decision := client.Decision{Intent: c.PostForm.Get("intent"), Reason: strings.TrimSpace(c.PostForm.Get("reason"))}
	switch c.PostForm.Get("decision") {
	case "approve":
		decision.Approved = true
	case "reject":
	default:
		return "", towpath.Errorf(towpath.CodeInvalid, "a decision is to approve or to reject")
	}
	_, err := s.decide(call[client.Decision]{Request: c.Request, Caller: c.Caller, Body: decision})
	return "/approvals/" + c.escaped("pipeline", "number", "step"), err
}
