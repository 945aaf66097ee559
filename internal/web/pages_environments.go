package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) environmentPage(c call[none]) (templ.Component, error) {
	view, err := s.environmentView(c)
	if err == nil {
		view.Shown, err = shown(c.Context(), environmentParts(view))
	}
	return page.EnvironmentPage(view), err
}

// environmentParts are the parts of an environment's page that are sent again when they change.
func environmentParts(view page.Environment) []part {
	return []part{
		{name: "state", shown: page.EnvironmentState(view)},
		{name: "actions", shown: page.EnvironmentActions(view)},
		{name: "back", shown: page.EnvironmentBack(view)},
		{name: "facts", shown: page.EnvironmentFacts(view)},
		{name: "queue", shown: page.EnvironmentQueue(view)},
		{name: "plan", shown: page.EnvironmentPlan(view)},
		{name: "instances", shown: page.EnvironmentInstances(view)},
		{name: "deployments", shown: page.EnvironmentDeployments(view)},
		{name: "releases", shown: page.EnvironmentReleases(view)},
		{name: "policy", shown: page.EnvironmentPolicy(view)},
		{name: "errands", shown: page.EnvironmentErrands(view)},
	}
}

// errandsShown is how many commands the page of an environment has; towpath exec lists more.
const errandsShown = 10

// environmentView gathers what the page of an environment shows, with the plan of the release that the query names: of
// deploying it, or of moving back to it.
func (s *Server) environmentView(c call[none]) (view page.Environment, err error) {
	may := func(p access.Permission) bool { return c.Can(p, c.Project.ID) }
	view = page.Environment{
		Frame:       s.frame(c.Caller, "", keyIn(c.Request)),
		CanRollback: may(access.Rollback), CanDeploy: may(access.Deploy),
		CanPromote: may(access.Promote), CanManage: may(access.ManageEnvironments),
	}
	if view.PlanOf, err = releaseAsked(c.URL.Query().Get("release")); err != nil {
		return view, err
	}
	if back, isBack, err := backAsked(c.Request); err != nil {
		return view, err
	} else if isBack && back > 0 {
		view.PlanOf, view.IsBack = back, true
	}
	if view.Deployments, err = s.deployments(c); err != nil {
		return view, err
	}
	if view.Releases, err = s.releases(c); err != nil {
		return view, err
	}
	if view.Errands, err = s.errandsOf(c.Request, errandsShown); err != nil {
		return view, err
	}
	return view, s.Store.View(c.Context(), func(tx *store.Tx) error { return s.planView(tx, &view, keyIn(c.Request)) })
}

// releaseAsked reads the number of a release; 0 where none was asked for.
func releaseAsked(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return 0, towpath.Errorf(towpath.CodeInvalid, "%q is not the number of a release", text)
	}
	return number, nil
}

// planView adds the environment itself, what moving back would do, and what would be done for the release that was asked
// for, or is left to do.
func (s *Server) planView(tx *store.Tx, view *page.Environment, key string) error {
	e, _, err := tx.Environment(key)
	if err != nil {
		return err
	}
	if view.Environment, err = s.environmentOf(tx, e); err != nil {
		return err
	}
	if view.Beside, err = beside(tx, e); err != nil {
		return err
	}
	if view.Waits = waitsForPromotion(e); view.Waits {
		view.Canary = canaryOf(e)
	}
	if view.PlanOf > 0 || e.Deployment != nil {
		plan, err := s.planAsked(tx, e, *view)
		if err != nil {
			return err
		}
		view.Plan = &plan
	}
	if e.Refuses(towpath.RollbackRequested{ID: "forecast", At: view.Now}) != nil {
		return nil
	}
	view.Back, err = s.planBack(tx, e, 0)
	view.BackTo = view.Back.Goal
	return err
}

func (s *Server) planAsked(tx *store.Tx, e towpath.Environment, view page.Environment) (client.Plan, error) {
	if view.IsBack {
		return s.planBack(tx, e, view.PlanOf)
	}
	return s.planFor(tx, e, view.PlanOf)
}

// beside are the other environments of the pipeline, with what is live there and no more: each page that is open asks for them.
func beside(tx *store.Tx, e towpath.Environment) (others []client.Environment, err error) {
	all, err := tx.Environments(store.EnvironmentFilter{Pipeline: e.Pipeline})
	for _, other := range all {
		if other.Key != e.Key && !other.IsRemoved() {
			others = append(others, client.Environment{Key: other.Key, Pipeline: other.Pipeline, Name: other.Name, Live: refOf(other.Live)})
		}
	}
	slices.SortFunc(others, func(a, b client.Environment) int { return byColumn(a.Name, b.Name) })
	return others, err
}

// canaryOf answers the step that a deployment is held at; the zero value where its strategy has none.
func canaryOf(e towpath.Environment) page.Canary {
	d, steps := e.Deployment, e.Definition.Strategy.Steps
	if d.CanaryStep >= len(steps) {
		return page.Canary{}
	}
	step := steps[d.CanaryStep]
	held := page.Canary{Step: d.CanaryStep + 1, Steps: len(steps), Share: step.Share, Next: 100, Since: d.StepAt}
	if d.CanaryStep+1 < len(steps) {
		held.Next = steps[d.CanaryStep+1].Share
	}
	if !step.UntilPromoted {
		held.Until = d.StepAt.Add(step.For)
	}
	return held
}

func waitsForPromotion(e towpath.Environment) bool {
	d := e.Deployment
	if d == nil || d.State != towpath.DeploymentRunning || !d.PromotedAt.IsZero() {
		return false
	}
	steps := e.Definition.Strategy.Steps
	return e.Definition.Strategy.UntilPromoted || d.CanaryStep < len(steps) && !d.StepAt.IsZero()
}

// followEnvironment sends the parts of an environment's page for as long as somebody looks.
func (s *Server) followEnvironment(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	c := call[none]{Request: r, Caller: caller}
	if _, err := s.environmentView(c); err != nil {
		s.fail(w, r, err)
		return
	}
	s.follow(w, r, flow.TopicEnvironment(keyIn(r)), func() ([]part, bool, error) {
		view, err := s.environmentView(c)
		return environmentParts(view), false, err
	})
}

// reasoned is a call with the reason that a form gives.
func reasoned(c call[none]) call[client.Reasoned] {
	return call[client.Reasoned]{
		Request: c.Request, Caller: c.Caller, Body: client.Reasoned{Reason: strings.TrimSpace(c.PostForm.Get("reason"))},
	}
}

// there is the page of the environment that a form stands on.
func there(c call[none]) string { return "/environments/" + c.escaped("pipeline", "environment") }

func (s *Server) deployByForm(c call[none]) (string, error) {
	number, err := releaseAsked(c.PostForm.Get("release"))
	if err == nil {
		wish := client.Deploy{Release: number, Reason: reasoned(c).Body.Reason}
		_, err = s.deploy(call[client.Deploy]{Request: c.Request, Caller: c.Caller, Body: wish})
	}
	return there(c), err
}

// promoteByForm is about what the page showed: it may be an old one.
func (s *Server) promoteByForm(c call[none]) (string, error) {
	step, err := strconv.Atoi(cmp.Or(c.PostForm.Get("step"), "0"))
	if err != nil {
		return there(c), towpath.Errorf(towpath.CodeInvalid, "%q is not the number of a step", c.PostForm.Get("step"))
	}
	of := client.Promotion{Deployment: c.PostForm.Get("deployment"), Step: step}
	_, err = s.promote(call[client.Promotion]{Request: c.Request, Caller: c.Caller, Body: of})
	return there(c), err
}

func (s *Server) goneByForm(c call[none]) (string, error) {
	said := client.Gone{Process: c.PostForm.Get("process"), Instance: c.PostForm.Get("instance")}
	_, err := s.gone(call[client.Gone]{Request: c.Request, Caller: c.Caller, Body: said})
	return there(c), err
}

func (s *Server) unpinByForm(c call[none]) (string, error) {
	_, err := s.unpin(c)
	return there(c), err
}
