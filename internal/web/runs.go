package web

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// listed is how many things a list holds where nobody says, and listedMost the most that may be asked for.
const (
	listed     = 50
	listedMost = 500
)

func (s *Server) runs(c call[none]) ([]client.Run, error) {
	filter, err := s.runFilter(c.Request, c.Caller)
	if err != nil {
		return nil, err
	}
	found := []client.Run{}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		runs, err := tx.Runs(filter)
		if err != nil {
			return err
		}
		names, err := projectNames(tx)
		if err != nil {
			return err
		}
		crew, err := crewOf(tx, s.Clock())
		for _, r := range runs {
			answer := runOf(r, names[r.Project])
			crew.explain(&answer, r)
			found = append(found, answer)
		}
		return err
	})
	return found, err
}

// numberIn reads a number of the query, where it is there.
func numberIn(r *http.Request, name string, most int, into *int) error {
	text := r.URL.Query().Get(name)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return towpath.Errorf(towpath.CodeInvalid, "%s=%s is not a number from 1 to %d", name, text, most)
	}
	*into = n
	return nil
}

func (s *Server) runFilter(r *http.Request, caller access.Caller) (store.RunFilter, error) {
	query := r.URL.Query()
	filter := store.RunFilter{Pipeline: query.Get("pipeline"), Branch: query.Get("branch"), Limit: listed}
	if states := query.Get("state"); states != "" {
		for state := range strings.SplitSeq(states, ",") {
			filter.States = append(filter.States, towpath.RunState(state))
		}
	}
	err := numberIn(r, "limit", listedMost, &filter.Limit)
	if err == nil {
		err = numberIn(r, "before", math.MaxInt32, &filter.Older)
	}
	if err != nil {
		return filter, err
	}
	filter.Projects, err = s.visible(r, caller, query.Get("project"))
	return filter, err
}

// visible answers the IDs of the projects that the caller may see; of those, the one of that name where it is not empty.
func (s *Server) visible(r *http.Request, caller access.Caller, name string) ([]string, error) {
	ids := []string{}
	err := s.Store.View(r.Context(), func(tx *store.Tx) error {
		all, err := tx.Projects()
		for _, p := range all {
			if caller.Can(access.ReadProject, p.ID) && (name == "" || p.Name == name) {
				ids = append(ids, p.ID)
			}
		}
		return err
	})
	return ids, err
}

func projectNames(tx *store.Tx) (map[string]string, error) {
	all, err := tx.Projects()
	names := map[string]string{}
	for _, p := range all {
		names[p.ID] = p.Name
	}
	return names, err
}

func (s *Server) run(c call[none]) (client.Run, error) {
	return s.readRun(c.Request)
}

// readRun answers the run that the path names, with why its steps wait and who runs them.
func (s *Server) readRun(r *http.Request) (answer client.Run, err error) {
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		run, err := runIn(tx, r)
		if err != nil {
			return err
		}
		answer, err = wholeRun(tx, run, s.Clock())
		return err
	})
	return answer, err
}

func runIn(tx *store.Tx, r *http.Request) (towpath.Run, error) {
	number, err := runNumberIn(r)
	if err != nil {
		return towpath.Run{}, err
	}
	run, _, err := tx.RunByNumber(r.PathValue("pipeline"), number)
	return run, err
}

func runNumberIn(r *http.Request) (int, error) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return 0, towpath.Errorf(towpath.CodeInvalid, "%q is not the number of a run", r.PathValue("number"))
	}
	return number, nil
}

// runID answers the ID of the run that the path names.
func (s *Server) runID(r *http.Request) (id string, err error) {
	number, err := runNumberIn(r)
	if err != nil {
		return "", err
	}
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		id, err = tx.RunID(r.PathValue("pipeline"), number)
		return err
	})
	return id, err
}

func wholeRun(tx *store.Tx, run towpath.Run, now time.Time) (client.Run, error) {
	project, _, err := tx.Project(run.Project)
	if err != nil {
		return client.Run{}, err
	}
	crew, err := crewOf(tx, now)
	if err != nil {
		return client.Run{}, err
	}
	totals, err := totalsBySteps(tx, run.ID)
	answer := runOf(run, project.Name)
	crew.explain(&answer, run)
	if err := explainDeployments(tx, &answer, run, now); err != nil {
		return client.Run{}, err
	}
	for i, step := range run.Steps {
		answer.Steps[i].Tests = totals[step.Name]
	}
	return answer, err
}

// explainDeployments says of each deploy step that waits why its environment has not begun with it.
func explainDeployments(tx *store.Tx, answer *client.Run, run towpath.Run, now time.Time) error {
	for i, step := range run.Steps {
		if step.Kind != towpath.KindDeploy || step.State != towpath.StepWaiting {
			continue
		}
		e, _, err := tx.Environment(towpath.EnvironmentKey(run.Pipeline, step.Deploy))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		place := slices.IndexFunc(e.Queue, func(d towpath.Deployment) bool { return d.Run == run.ID && d.Step == step.Name })
		if place >= 0 {
			answer.Steps[i].Reason = e.Waits(place, now)
		}
	}
	return nil
}

func runOf(r towpath.Run, project string) client.Run {
	run := client.Run{
		ID: r.ID, Project: project, Pipeline: r.Pipeline, Number: r.Number, State: string(r.State), Reason: r.Reason, WaitsFor: r.WaitsFor,
		Branch: r.Change.Branch, Revision: r.Change.Revision, Title: r.Change.Title(), Author: r.Change.Author,
		Trigger: string(r.Change.Trigger), Upstream: r.Change.Upstream, Inputs: r.Change.Inputs, CreatedAt: r.CreatedAt, FinishedAt: r.FinishedAt,
	}
	if r.Repeats != nil {
		run.Repeats, run.RepeatedBy = r.Repeats.Number, r.Repeats.By
	}
	if r.Shell != nil {
		run.Shell = r.Shell.Step
	}
	for _, step := range r.Steps {
		run.Steps = append(run.Steps, stepOf(step))
	}
	return run
}

func stepOf(step towpath.Step) client.Step {
	s := client.Step{
		Name: step.Name, Matrix: step.Matrix, Kind: string(step.Kind), State: string(step.State), Reason: step.Reason, Needs: step.Needs, From: step.From,
		Attempt: step.Attempt(), Artifacts: artifactsOf(step.Artifacts), Release: step.Release,
		Deployment: step.Deployment, ReadyAt: step.ReadyAt, StartedAt: step.StartedAt, FinishedAt: step.FinishedAt,
	}
	if n := step.Attempt(); n > 0 {
		s.ExitCode = step.Attempts[n-1].ExitCode
	}
	if step.Attempt() > 1 {
		s.Attempts = attemptsOf(step.Attempts)
	}
	return s
}

// attemptsOf leaves the names of their workers out: whoever knows the workers adds them.
func attemptsOf(attempts []towpath.Attempt) []client.Attempt {
	var found []client.Attempt
	for _, a := range attempts {
		found = append(found, client.Attempt{
			Number: a.Number, State: string(a.State), Reason: a.Reason, ExitCode: a.ExitCode,
			StartedAt: a.StartedAt, FinishedAt: a.FinishedAt,
		})
	}
	return found
}

func artifactsOf(artifacts []towpath.Artifact) []client.Artifact {
	var found []client.Artifact
	for _, a := range artifacts {
		found = append(found, client.Artifact(a))
	}
	return found
}

// nounsOf takes artifacts that a step kept: whatever the worker says, they are that step's.
func nounsOf(step string, artifacts []client.Artifact) []towpath.Artifact {
	var found []towpath.Artifact
	for _, a := range artifacts {
		a.Step = step
		found = append(found, towpath.Artifact(a))
	}
	return found
}

// startRun starts a run by hand, and answers it at once.
func (s *Server) startRun(c call[client.StartRun]) (client.Run, error) {
	runs, err := s.Flow.StartRun(c.Context(), flow.Wish{
		Project: c.Project.ID, Branch: c.Body.Branch, Revision: c.Body.Revision, Pipeline: c.Body.Pipeline, By: c.Name,
		Inputs:  c.Body.Inputs,
		Scripts: c.Body.ScriptsOnly,
		Record:  s.record(c.Caller, "run.start", c.Project.Name, c.Body.Branch+c.Body.Revision),
	})
	if err != nil {
		return client.Run{}, err
	}
	return runOf(runs[0], c.Project.Name), nil
}

func (s *Server) cancelRun(c call[none]) (client.Run, error) {
	var run towpath.Run
	err := s.Store.View(c.Context(), func(tx *store.Tx) (err error) {
		run, err = runIn(tx, c.Request)
		return err
	})
	if err != nil {
		return client.Run{}, err
	}
	run, err = s.Flow.Cancel(c.Context(), run.ID, flow.Act{By: c.Name, Record: s.record(c.Caller, "run.cancel", runName(run), "")})
	return runOf(run, ""), err
}

// rerunRun runs a run again, and answers the new one.
func (s *Server) rerunRun(c call[client.Rerun]) (client.Run, error) {
	id, err := s.runID(c.Request)
	if err != nil {
		return client.Run{}, err
	}
	run, err := s.Flow.Rerun(c.Context(), flow.Repeat{
		Run: id, Again: towpath.Again{Failed: c.Body.Failed, Step: c.Body.Step, From: c.Body.From}, NewPlan: c.Body.NewPlan,
		By: c.Name, AllowForks: c.Can(access.AllowForks, c.Project.ID),
		Record: func(tx *store.Tx, made towpath.Run) error {
			return s.record(c.Caller, "run.rerun", runName(made), "repeats #"+c.PathValue("number"))(tx)
		},
	})
	return runOf(run, c.Project.Name), err
}

func runName(r towpath.Run) string { return r.Pipeline + " #" + strconv.Itoa(r.Number) }
