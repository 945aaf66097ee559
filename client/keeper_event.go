package client

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// Happened answers what a report tells the environment; nil where it holds an observation only. The error is of an event
// that nobody knows.
func (r KeeperReport) Happened(at time.Time) (towpath.EnvironmentEvent, error) {
	switch r.Event {
	case "":
		return nil, nil
	case "reached":
		return towpath.GoalReached{Epoch: r.Epoch, Deployment: r.Deployment, Returning: r.Returning, Note: r.Reason, At: at}, nil
	case "failed":
		return towpath.GoalFailed{Epoch: r.Epoch, Deployment: r.Deployment, Returning: r.Returning, Reason: r.Reason, At: at}, nil
	case "tested":
		return towpath.DeploymentTested{Epoch: r.Epoch, Deployment: r.Deployment, At: at}, nil
	case "hook-begun":
		return towpath.HookBegan{Epoch: r.Epoch, Deployment: r.Deployment, Hook: towpath.Hook(r.Hook), At: at}, nil
	case "hook-ended":
		return towpath.HookEnded{Epoch: r.Epoch, Deployment: r.Deployment, Hook: towpath.Hook(r.Hook), Problem: r.Reason, At: at}, nil
	case "hook-lost":
		return towpath.HookLost{Epoch: r.Epoch, Deployment: r.Deployment, Hook: towpath.Hook(r.Hook), At: at}, nil
	case "step":
		return towpath.StepBegan{Epoch: r.Epoch, Deployment: r.Deployment, Step: r.Step, At: at}, nil
	case "single":
		return towpath.SingleAssigned{Epoch: r.Epoch, Process: r.Process, Instance: r.Instance, Slot: r.Slot, At: at}, nil
	case "watching":
		return towpath.WatchBegan{Epoch: r.Epoch, Deployment: r.Deployment, Baseline: r.Baseline, At: at}, nil
	case "idle":
		return towpath.TrafficObserved{Epoch: r.Epoch, Idle: r.Idle, Taking: r.Taking, LastInstance: r.LastInstance, At: at}, nil
	case "went-back":
		return r.wentBack(at)
	}
	return nil, towpath.Errorf(towpath.CodeInvalid, "a keeper cannot report %q", r.Event)
}

func (r KeeperReport) wentBack(at time.Time) (towpath.EnvironmentEvent, error) {
	if r.Back == nil {
		return nil, towpath.Errorf(towpath.CodeInvalid, "a keeper that went back has to say how")
	}
	back := *r.Back
	back.Epoch, back.At = r.Epoch, at
	if back.BeganAt.After(at) {
		back.BeganAt = at // its clock is not ours
	}
	return back, nil
}
