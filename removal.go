package towpath

import "time"

// RemovalRequested is a person's wish that nothing of an environment is left: no instance, no share of traffic, no kept
// release. It becomes a deployment of nothing, whose deployments before stay on record. Another deployment brings the
// environment back.
type RemovalRequested struct {
	ID     string // of the deployment that it becomes
	By     string
	Reason string
	At     time.Time
}

func (e RemovalRequested) when() time.Time { return e.At }

func (e RemovalRequested) refusedBy(env Environment) error {
	switch {
	case env.Deployment != nil:
		return Errorf(CodeConflict, "release %d is on its way in %s", env.Deployment.Release.Number, env.Key).
			WithHint("wait for its end, or roll back")
	case env.Frozen(e.At) != nil:
		return Errorf(CodeConflict, "%s is frozen %s", env.Key, env.Frozen(e.At)).
			WithHint("towpath thaw %s lifts that", env.Key)
	case env.IsRemoved():
		return Errorf(CodeConflict, "%s is removed already", env.Key)
	}
	return nil
}

func (e RemovalRequested) apply(t *environmentTransition) {
	t.begin(Deployment{
		ID: e.ID, Environment: t.environment.Key, Cause: CauseRemoval, By: e.By, Reason: e.Reason, RequestedAt: e.At,
	})
}

// IsRemoved says that nothing is left of the environment but its record, and nothing is on its way there.
func (e Environment) IsRemoved() bool { return !e.RemovedAt.IsZero() && e.Deployment == nil }

// remove forgets what ran, once nothing does. What is queued brings the environment back.
func (t *environmentTransition) remove() {
	e := &t.environment
	e.Goal, e.Live, e.LiveAt, e.StandbyUntil = ReleaseRef{}, ReleaseRef{}, time.Time{}, time.Time{}
	e.History, e.Failed, e.Pin, e.Idle = nil, nil, nil, nil
	e.RemovedAt, e.UnattendedSince, e.Keeper, e.Machine = t.at, time.Time{}, KeeperLease{}, ""
	t.finish(DeploymentRemoved, "removed by "+t.environment.Deployment.By)
}
