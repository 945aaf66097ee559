package web

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// keyIn reads the key of the environment that a path names.
func keyIn(r *http.Request) string {
	return towpath.EnvironmentKey(r.PathValue("pipeline"), r.PathValue("environment"))
}

func (s *Server) environments(c call[none]) ([]client.Environment, error) {
	projects, err := s.visible(c.Request, c.Caller, c.URL.Query().Get("project"))
	if err != nil {
		return nil, err
	}
	var found []client.Environment
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		found, err = s.environmentsOf(tx, store.EnvironmentFilter{Projects: projects})
		return err
	})
	return found, err
}

func (s *Server) environment(c call[none]) (client.Environment, error) {
	return s.readEnvironment(c.Request)
}

func (s *Server) readEnvironment(r *http.Request) (answer client.Environment, err error) {
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		e, _, err := tx.Environment(keyIn(r))
		if err != nil {
			return err
		}
		answer, err = s.environmentOf(tx, e)
		return err
	})
	return answer, err
}

func (s *Server) deployments(c call[none]) ([]client.Deployment, error) {
	wanted := store.DeploymentFilter{Environment: keyIn(c.Request), Before: c.URL.Query().Get("before"), Limit: listed}
	if err := numberIn(c.Request, "limit", listedMost, &wanted.Limit); err != nil {
		return nil, err
	}
	found := []client.Deployment{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		if wanted.Before != "" {
			last, err := tx.Deployment(wanted.Before)
			if err == nil && last.Environment != wanted.Environment {
				err = towpath.Errorf(towpath.CodeNotFound, "there is no deployment %s of %s", wanted.Before, wanted.Environment)
			}
			if err != nil {
				return err
			}
		}
		deployments, err := tx.Deployments(wanted)
		for _, d := range deployments {
			found = append(found, deploymentOf(d))
		}
		return err
	})
	return found, err
}

func (s *Server) releases(c call[none]) ([]client.Release, error) {
	found := []client.Release{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		releases, err := tx.Releases(store.ReleaseFilter{Pipeline: c.PathValue("pipeline"), Limit: listed})
		for _, r := range releases {
			found = append(found, client.Release{
				Number: r.Number, Run: r.Change, Revision: r.Revision, Title: r.Title, Author: r.Author,
				Artifacts: artifactsOf(r.Artifacts), CreatedAt: r.CreatedAt,
			})
		}
		return err
	})
	return found, err
}

// plan answers what would be done: by the same function that the keeper plans with, on what it saw last.
func (s *Server) plan(c call[none]) (answer client.Plan, err error) {
	release := 0
	if text := c.URL.Query().Get("release"); text != "" {
		if release, err = strconv.Atoi(text); err != nil || release < 1 {
			return answer, towpath.Errorf(towpath.CodeInvalid, "%q is not the number of a release", text)
		}
	}
	removes := c.URL.Query().Get("remove")
	if removes != "" && (removes != "true" || release > 0) {
		return answer, towpath.Errorf(towpath.CodeInvalid, "remove is true or left out, and has no release")
	}
	to, isBack, err := backAsked(c.Request)
	if err != nil {
		return answer, err
	}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		e, _, err := tx.Environment(keyIn(c.Request))
		if err != nil {
			return err
		}
		if removes != "" {
			answer, err = s.planOfRemoval(tx, e)
			return err
		}
		if isBack {
			answer, err = s.planBack(tx, e, to)
			return err
		}
		answer, err = s.planFor(tx, e, release)
		return err
	})
	return answer, err
}

// planFor forecasts a release's way into the environment; 0 is what the environment does by itself.
func (s *Server) planFor(tx *store.Tx, e towpath.Environment, number int) (client.Plan, error) {
	facts := deploy.Facts{Environment: e, Now: s.Clock()}
	if number > 0 {
		release, err := tx.Release(e.Pipeline, number)
		if err != nil {
			return client.Plan{}, err
		}
		facts.Environment = aimed(e, release.Ref(), nil, facts.Now)
	}
	var err error
	facts.Observed, _, err = tx.Observation(e.Key)
	return planOf(facts), err
}

// aimed answers the environment as it would be if a person deployed the release now.
func aimed(e towpath.Environment, release towpath.ReleaseRef, d *towpath.EnvironmentDefinition, now time.Time) towpath.Environment {
	// The forecast is of the release's own way, after whatever is under way, once it may start.
	e.Deployment, e.Queue, e.Freeze, e.Freezes, e.Policy = nil, nil, nil, nil, towpath.Policy{}
	after, _ := e.Next(towpath.DeploymentRequested{At: now, Deployment: towpath.Deployment{
		ID: "forecast", Release: release, Cause: towpath.CauseManual, Definition: d, AllowedBy: "forecast",
	}})
	return after
}

func planOf(f deploy.Facts) client.Plan {
	forecast := deploy.NewForecast(f)
	plan := client.Plan{
		Environment: f.Environment.Key, Live: f.Environment.Live.Number, Goal: f.Environment.Goal.Number,
		Text: forecast.String(), Operations: []string{}, Downtime: forecast.Downtime, Clients: forecast.Clients,
	}
	for _, line := range forecast.Lines {
		plan.Operations = append(plan.Operations, line.Verb+" "+line.What)
	}
	return plan
}

func (s *Server) deploy(c call[client.Deploy]) (client.Deployment, error) {
	key := keyIn(c.Request)
	release, detail, err := s.wanted(c)
	if err != nil {
		return client.Deployment{}, err
	}
	made, err := s.Flow.Deploy(c.Context(), key, release, flow.Act{
		By: c.Name, Reason: c.Body.Reason, Record: s.record(c.Caller, "deploy", key, detail+reasonOf(c.Body.Reason)),
	})
	return deploymentOf(made), err
}

// wanted answers the release that a deployment by hand is of: the one that is named, or that is live in another environment now.
func (s *Server) wanted(c call[client.Deploy]) (release int, detail string, err error) {
	if (c.Body.From == "") == (c.Body.Release == 0) {
		return 0, "", towpath.Errorf(towpath.CodeInvalid, "a deployment names a release, or the environment that it is taken from")
	}
	if c.Body.From == "" {
		return c.Body.Release, "release " + strconv.Itoa(c.Body.Release), nil
	}
	from := towpath.EnvironmentKey(c.PathValue("pipeline"), c.Body.From)
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		e, _, err := tx.Environment(from)
		if err == nil && e.Live.Number == 0 {
			err = towpath.Errorf(towpath.CodeConflict, "nothing is live in %s", from)
		}
		release = e.Live.Number
		return err
	})
	return release, fmt.Sprintf("release %d, live in %s", release, c.Body.From), err
}

func (s *Server) promote(c call[client.Promotion]) (client.Environment, error) {
	return s.changeEnvironment(c.Request, c.Caller, "promote", "", func(e towpath.Environment) towpath.EnvironmentEvent {
		id := c.Body.Deployment
		if id == "" && e.Deployment != nil {
			id = e.Deployment.ID
		}
		return towpath.Promoted{Deployment: id, Step: c.Body.Step, By: c.Name, At: s.Clock()}
	})
}

func (s *Server) gone(c call[client.Gone]) (client.Environment, error) {
	said := c.Body
	detail := said.Process
	if said.Instance != "" {
		detail += " beside " + said.Instance
	}
	return s.changeEnvironment(c.Request, c.Caller, "gone", detail, func(towpath.Environment) towpath.EnvironmentEvent {
		return towpath.SingleGone{Process: said.Process, Instance: said.Instance, By: c.Name, At: s.Clock()}
	})
}

func (s *Server) unpin(c call[none]) (client.Environment, error) {
	return s.changeEnvironment(c.Request, c.Caller, "unpin", "", func(towpath.Environment) towpath.EnvironmentEvent {
		return towpath.Unpinned{By: c.Name, At: s.Clock()}
	})
}
