package web

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/store"
)

// environmentsOf reads environments, without those that were taken down, with few questions, however many there are.
func (s *Server) environmentsOf(tx *store.Tx, f store.EnvironmentFilter) ([]client.Environment, error) {
	environments, err := tx.Environments(f)
	if err != nil {
		return nil, err
	}
	seen, err := tx.Observations(f)
	if err != nil {
		return nil, err
	}
	known, err := namesOf(tx)
	if err != nil {
		return nil, err
	}
	found := make([]client.Environment, 0, len(environments))
	for _, e := range environments {
		if !e.IsRemoved() {
			found = append(found, s.environmentIn(e, seen[e.Key], known))
		}
	}
	return found, nil
}

// environmentOf reads what is said of one.
func (s *Server) environmentOf(tx *store.Tx, e towpath.Environment) (client.Environment, error) {
	seen, _, err := tx.Observation(e.Key)
	if err != nil {
		return client.Environment{}, err
	}
	known := names{projects: map[string]string{}}
	project, _, err := tx.Project(e.Project)
	if err != nil {
		return client.Environment{}, err
	}
	known.projects[e.Project] = project.Name
	known.workers, err = workersOf(tx, e)
	return s.environmentIn(e, seen, known), err
}

// names are those of projects and workers, by their IDs.
type names struct{ projects, workers map[string]string }

func namesOf(tx *store.Tx) (n names, err error) {
	if n.projects, err = projectNames(tx); err != nil {
		return n, err
	}
	n.workers = map[string]string{}
	workers, err := tx.Workers()
	for _, w := range workers {
		n.workers[w.ID] = w.Name
	}
	return n, err
}

// environmentIn says what is recorded of an environment, what its keeper saw last, and what follows from both.
func (s *Server) environmentIn(e towpath.Environment, seen towpath.Observation, known names) client.Environment {
	now := s.Clock()
	answer := client.Environment{
		Key: e.Key, Pipeline: e.Pipeline, Name: e.Name, URL: e.Definition.URL, Version: e.DefinitionVersion,
		Project: known.projects[e.Project], Keeper: known.workers[e.Keeper.Worker],
		Strategy: string(e.Definition.Strategy.Kind), Live: refOf(e.Live), Goal: refOf(e.Goal), Previous: refOf(e.Previous()),
		LiveAt: e.LiveAt, Halted: e.Halted, Unattended: e.UnattendedSince, Doing: s.Flow.Doing(e.Key), StandbyTill: e.StandbyUntil, RemovedAt: e.RemovedAt,
		Queue: queueOf(e, now), Health: healthOf(e, seen),
	}
	if e.Deployment != nil {
		d := deploymentOf(*e.Deployment)
		answer.Deployment = &d
	}
	if p := e.Pin; p != nil {
		answer.Pin = "since " + p.By + " went back from release " + strconv.Itoa(p.From.Number) + reasonOf(p.Reason)
	}
	if f := e.Frozen(now); f != nil {
		answer.Freeze, answer.Frozen = f.String(), frozenOf(*f)
	}
	for _, r := range e.Known() {
		answer.Known = append(answer.Known, r.Number)
	}
	answer.Holder, answer.Opens, answer.Policy = e.Holder(now), e.OpensAt, policyShown(e, known.workers)
	observe(e, seen, &answer)
	foresee(e, seen, now, &answer)
	return answer
}

func reasonOf(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// queueOf are the deployments that wait, each with its place and why.
func queueOf(e towpath.Environment, now time.Time) []client.Deployment {
	var queue []client.Deployment
	for place, d := range e.Queue {
		waiting := deploymentOf(d)
		waiting.Place, waiting.Waits = place+1, e.Waits(place, now)
		queue = append(queue, waiting)
	}
	return queue
}

// observe adds what the keeper saw last.
func observe(e towpath.Environment, seen towpath.Observation, answer *client.Environment) {
	answer.ObservedAt, answer.Processes = seen.At, tellSilent(e, seen, processesOf(seen))
	if address := seen.Reach(e.Live.Number); answer.URL == "" && address != "" {
		answer.URL = "http://" + address
	}
	for _, i := range seen.Instances {
		answer.Instances = append(answer.Instances, client.Instance{
			ID: i.ID, Release: i.Release, State: string(i.State), Address: i.Address, Health: string(i.Health),
			Problem: i.Problem, Weight: i.Traffic.Weight, Requests: i.Traffic.Requests, Streams: i.Traffic.Streams,
		})
	}
}

// processesOf are those beside the web processes of instances, and those of which at most one runs.
func processesOf(seen towpath.Observation) (all []client.Process) {
	for _, i := range seen.Instances {
		for _, p := range i.Processes {
			all = append(all, client.Process{
				Name: p.Name, Instance: i.ID, Release: i.Release, State: string(p.State), Problem: p.Problem, Log: p.Log,
			})
		}
	}
	for _, p := range seen.Singles {
		release, _ := towpath.ParseInstanceID(p.Instance)
		all = append(all, client.Process{
			Name: p.Process, Instance: p.Instance, Release: release, Single: true, State: string(p.State), Problem: p.Problem, Log: p.Log,
		})
	}
	return all
}

// tellSilent says of single processes which host they wait for, also where nobody has seen them there.
func tellSilent(e towpath.Environment, seen towpath.Observation, all []client.Process) []client.Process {
	silent := deploy.OutOfReach(deploy.Facts{Environment: e, Observed: seen})
	for _, name := range slices.Sorted(maps.Keys(silent)) {
		id := e.Singles[name].Instance
		n := slices.IndexFunc(all, func(p client.Process) bool { return p.Single && p.Name == name && p.Instance == id })
		if n < 0 {
			release, _ := towpath.ParseInstanceID(id)
			n, all = len(all), append(all, client.Process{
				Name: name, Instance: id, Release: release, Single: true, State: string(towpath.InstanceUnknown), Problem: "its host does not answer",
			})
		}
		all[n].Silent = silent[name]
	}
	return all
}

func refOf(r towpath.ReleaseRef) *client.Release {
	if r.Number == 0 {
		return nil
	}
	return &client.Release{Number: r.Number, Run: r.Change, Revision: r.Revision, Title: r.Title}
}

func deploymentOf(d towpath.Deployment) client.Deployment {
	return client.Deployment{
		ID: d.ID, Environment: d.Environment, Release: d.Release.Number, From: d.From.Number, Cause: string(d.Cause),
		By: d.By, Reason: d.Reason, State: string(d.State), Outcome: d.Outcome,
		RequestedAt: d.RequestedAt, BeganAt: d.BeganAt, EndedAt: d.EndedAt, AllowedBy: d.AllowedBy, AllowedFor: d.AllowedFor,
	}
}
