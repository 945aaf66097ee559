package web

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
)

// keepWait is how long a keeper's call waits for something new; well within a lease.
const keepWait = 4 * time.Second

// kept is the path of every call about an environment that a worker keeps.
const kept = "/api/v1/worker/environments/{pipeline}/{environment}/"

func (s *Server) registerKeepers() {
	api(s, "POST /api/v1/worker/keep", s.keep)
	api(s, "POST "+kept+"report", s.reportKept)
}

// keep gives a worker its environments, and takes back those that it leaves.
func (s *Server) keep(c call[client.KeepRequest]) (client.KeepAnswer, error) {
	worker, err := s.seeWorker(c.Request, c.Caller, "")
	if err != nil {
		return client.KeepAnswer{}, err
	}
	if len(c.Body.Leaving) > 0 {
		return client.KeepAnswer{}, s.Flow.Leave(c.Context(), worker.ID, c.Body.Leaving)
	}
	known := make([]flow.Kept, len(c.Body.Kept))
	for i, k := range c.Body.Kept {
		known[i] = flow.Kept{Environment: k.Environment, Serial: k.Serial, Observed: k.Observed}
	}
	ctx, cancel := s.live(c.Request)
	defer cancel()
	keeping, err := s.Flow.Keep(ctx, worker.Worker, c.Body.Holder, known, keepWait)
	if err = ignoreStop(s, err); err != nil {
		return client.KeepAnswer{}, err
	}
	answer := client.KeepAnswer{Lost: keeping.Lost, Expires: keeping.Expires, Now: s.Clock()}
	for _, o := range keeping.Orders {
		answer.Orders = append(answer.Orders, s.orderOf(o))
	}
	return answer, nil
}

func (s *Server) orderOf(o flow.Order) client.KeeperOrder {
	return client.KeeperOrder{Environment: o.Environment, Releases: o.Releases, Secrets: o.Secrets, Now: s.Clock()}
}

// reportKept takes what a keeper saw and what it did, and answers the order as it now is.
func (s *Server) reportKept(c call[client.KeeperReport]) (client.KeeperOrder, error) {
	event, err := keeperEvent(c.Body)
	if err != nil {
		return client.KeeperOrder{}, err
	}
	order, err := s.Flow.Reported(c.Context(), keyIn(c.Request), flow.Report{
		Epoch: c.Body.Epoch, Observed: c.Body.Observation, Doing: c.Body.Doing, Event: event,
	})
	return s.orderOf(order), err
}

// keeperEvent answers what happened; nil where the report is an observation only.
func keeperEvent(r client.KeeperReport) (func(time.Time) towpath.EnvironmentEvent, error) {
	switch r.Event {
	case "":
		return nil, nil
	case "reached":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.GoalReached{Epoch: r.Epoch, Deployment: r.Deployment, Note: r.Reason, At: at}
		}, nil
	case "failed":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.GoalFailed{Epoch: r.Epoch, Deployment: r.Deployment, Reason: r.Reason, At: at}
		}, nil
	case "tested":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.DeploymentTested{Epoch: r.Epoch, Deployment: r.Deployment, At: at}
		}, nil
	case "hook-begun":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.HookBegan{Epoch: r.Epoch, Deployment: r.Deployment, Hook: towpath.Hook(r.Hook), At: at}
		}, nil
	case "hook-ended":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.HookEnded{Epoch: r.Epoch, Deployment: r.Deployment, Hook: towpath.Hook(r.Hook), Problem: r.Reason, At: at}
		}, nil
	case "watching":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.WatchBegan{Epoch: r.Epoch, Deployment: r.Deployment, Baseline: r.Baseline, At: at}
		}, nil
	case "idle":
		return func(at time.Time) towpath.EnvironmentEvent {
			return towpath.TrafficObserved{Epoch: r.Epoch, Idle: r.Idle, LastInstance: r.LastInstance, At: at}
		}, nil
	}
	return nil, towpath.Errorf(towpath.CodeInvalid, "a keeper cannot report %q", r.Event)
}
