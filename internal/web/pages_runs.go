package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) runListPage(c call[none]) (templ.Component, error) {
	query := c.URL.Query()
	view := page.Runs{
		Frame:    s.frame(c.Caller, "/", "Runs"),
		Pipeline: query.Get("pipeline"), State: query.Get("state"), Branch: query.Get("branch"),
	}
	var err error
	if view.Approvals, _, err = s.approvalsBy(c); err != nil {
		return nil, err
	}
	if view.Environments, err = s.needy(c); err != nil {
		return nil, err
	}
	view.Runs, view.Older, err = s.pageOfRuns(c)
	return page.RunList(view), err
}

// pageOfRuns answers the runs that the query asks for, and the ID to ask with for older ones; empty where there are none.
func (s *Server) pageOfRuns(c call[none]) (found []client.Run, older string, err error) {
	filter, err := s.runFilter(c.Request, c.Caller)
	if err != nil {
		return nil, "", err
	}
	filter.Before, filter.Limit = c.URL.Query().Get("older"), listed+1
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		runs, err := tx.Runs(filter)
		if len(runs) > listed {
			runs = runs[:listed]
			older = runs[listed-1].ID
		}
		for _, r := range runs {
			found = append(found, runOf(r, ""))
		}
		return err
	})
	return found, older, err
}

// needy answers the environments that the caller sees and that need somebody.
func (s *Server) needy(c call[none]) ([]client.Environment, error) {
	all, err := s.environments(c)
	var found []client.Environment
	for _, e := range all {
		if e.Halted != "" || e.Pin != "" || e.Keeper == "" {
			found = append(found, e)
		}
	}
	return found, err
}

func (s *Server) runPage(c call[none]) (templ.Component, error) {
	view, err := s.runView(c)
	if err == nil {
		view.Shown, err = shown(c.Context(), runParts(view))
	}
	return page.RunPage(view), err
}

// runParts are the parts of a run's page that are sent again when they change.
func runParts(view page.Run) []part {
	return []part{
		{name: "state", shown: page.RunState(view)},
		{name: "actions", shown: page.RunActions(view)},
		{name: "steps", shown: page.RunSteps(view)},
		{name: "tests", shown: page.RunTests(view.Tests)},
	}
}

func (s *Server) runView(c call[none]) (page.Run, error) {
	run, err := s.readRun(c.Request)
	if err != nil {
		return page.Run{}, err
	}
	tests, err := s.readTests(c.Request)
	view := page.Run{
		Run: run, Tests: tests, CanCancel: c.Can(access.CancelRun, c.Project.ID), CanRerun: c.Can(access.StartRun, c.Project.ID),
	}
	view.Frame = s.frame(c.Caller, "", run.Pipeline+" #"+c.PathValue("number"))
	return view, err
}

// followRun sends the parts of a run's page until the run has ended.
func (s *Server) followRun(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	c := call[none]{Request: r, Caller: caller}
	view, err := s.runView(c)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.follow(w, r, flow.TopicRun(view.Run.ID), func() ([]part, bool, error) {
		view, err := s.runView(c)
		return runParts(view), towpath.RunState(view.Run.State).IsFinal(), err
	})
}

// rerunByForm runs a run again, and shows the new one. What it runs is named by the button that was pressed.
func (s *Server) rerunByForm(c call[none]) (string, error) {
	wish := client.Rerun{NewPlan: c.PostFormValue("new_plan") != ""}
	switch c.PostFormValue("what") {
	case "failed":
		wish.Failed = true
	case "step":
		wish.Step = c.PostFormValue("step")
	case "from":
		wish.From = c.PostFormValue("step")
	}
	run, err := s.rerunRun(call[client.Rerun]{Request: c.Request, Caller: c.Caller, Body: wish})
	return "/runs/" + url.PathEscape(run.Pipeline) + "/" + strconv.Itoa(run.Number), err
}

func (s *Server) cancelByForm(c call[none]) (string, error) {
	_, err := s.cancelRun(c)
	return "/runs/" + c.escaped("pipeline", "number"), err
}
