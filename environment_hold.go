package towpath

import (
	"fmt"
	"slices"
	"time"
)

// TimeCame says that a time may have come for which the environment waited: a window opened, or a freeze ran out.
type TimeCame struct{ At time.Time }

// StartAllowed is a person's word that a deployment may start although no window is open. It goes before those that wait for
// one.
type StartAllowed struct {
	Deployment string // ID
	By, Reason string
	At         time.Time
}

func (e TimeCame) when() time.Time     { return e.At }
func (e StartAllowed) when() time.Time { return e.At }

// IsDue says that a time has come for which the environment waits.
func (e Environment) IsDue(at time.Time) bool {
	isOver := func(f Freeze) bool { return f.IsOver(at) }
	return e.Freeze != nil && isOver(*e.Freeze) || slices.ContainsFunc(e.Freezes, isOver) ||
		!e.OpensAt.IsZero() && e.Definition.isOpen(at)
}

func (e TimeCame) refusedBy(env Environment) error {
	if !env.IsDue(e.At) {
		return Errorf(CodeConflict, "%s waits for no time before %s", env.Key, e.At.Format(time.RFC3339))
	}
	return nil
}

func (e TimeCame) apply(t *environmentTransition) {
	env := &t.environment
	if env.Freeze != nil && env.Freeze.IsOver(e.At) {
		env.Freeze = nil
	}
	env.Freezes = slices.DeleteFunc(slices.Clone(env.Freezes), func(f Freeze) bool { return f.IsOver(e.At) })
	t.startNext()
}

func (e StartAllowed) refusedBy(env Environment) error {
	i := slices.IndexFunc(env.Queue, e.names)
	switch {
	case i < 0:
		return Errorf(CodeConflict, "no deployment %q waits in %s", e.Deployment, env.Key)
	case env.Queue[i].AllowedBy != "":
		return Errorf(CodeConflict, "%s has let this deployment start already", env.Queue[i].AllowedBy)
	case len(env.Definition.Windows) == 0:
		return Errorf(CodeConflict, "%s has no windows: the deployment waits for its turn", env.Key)
	case e.Reason == "":
		return Errorf(CodeInvalid, "a deployment outside of its window needs a reason")
	}
	return nil
}

func (e StartAllowed) names(d Deployment) bool { return d.ID == e.Deployment }

// apply puts the deployment behind those that were let start before it.
func (e StartAllowed) apply(t *environmentTransition) {
	queue := slices.Clone(t.environment.Queue)
	from := slices.IndexFunc(queue, e.names)
	d := queue[from]
	d.AllowedBy, d.AllowedFor, d.AllowedAt = e.By, e.Reason, e.At
	queue = slices.Delete(queue, from, from+1)
	to := slices.IndexFunc(queue, func(d Deployment) bool { return d.AllowedBy == "" })
	if to < 0 {
		to = len(queue)
	}
	t.environment.Queue = slices.Insert(queue, to, d)
	t.emit(RecordDeployment{Deployment: d})
	t.startNext()
}

// mayStart says that no window is against a deployment. Which windows there are says the definition that is in force, not the
// one that the deployment brings: a change cannot let itself in.
func (e Environment) mayStart(d Deployment, at time.Time) bool {
	return d.Cause == CauseRollback || d.AllowedBy != "" || e.Definition.isOpen(at)
}

// startNext begins the first deployment that waits and is not refused, unless something is under way or no window is open.
func (t *environmentTransition) startNext() {
	env := &t.environment
	for env.Deployment == nil && len(env.Queue) > 0 && env.mayStart(env.Queue[0], t.at) {
		next := env.Queue[0]
		env.Queue = slices.Clone(env.Queue[1:])
		if reason := env.Refusal(next, t.at); reason != "" {
			t.close(next, DeploymentRefused, reason)
			continue
		}
		t.begin(next)
	}
}

// awaitWindow notes until when what waits has to wait, where it is a window that it waits for.
func (t *environmentTransition) awaitWindow() {
	env := &t.environment
	if env.Deployment != nil || len(env.Queue) == 0 {
		env.OpensAt = time.Time{}
		return
	}
	env.OpensAt = env.Definition.Opens(t.at)
}

// Waits says why the deployment at a place of the queue has not begun, counted from 0. Times are told in the zone of now, but
// for those of windows, which have their own.
func (e Environment) Waits(place int, now time.Time) string {
	why := e.Holder(now)
	if why == "" && !e.OpensAt.IsZero() {
		why = "waits for " + opening(now, e.opensIn())
	}
	if f := e.Frozen(now); f != nil {
		why = joinedBy("; ", why, "frozen "+f.String())
	}
	return joinedBy("; ", why, turn(place))
}

// opensIn is when the window opens, in its own zone: what was stored knows the offset only.
func (e Environment) opensIn() time.Time {
	for _, w := range e.Definition.Windows {
		if zone := w.location(); w.isOpenIn(zone, e.OpensAt) {
			return e.OpensAt.In(zone)
		}
	}
	return e.OpensAt.UTC()
}

func joinedBy(between string, parts ...string) string {
	text := ""
	for _, p := range parts {
		if text != "" && p != "" {
			text += between
		}
		text += p
	}
	return text
}

// Holder says which deployment holds the environment, and since when; empty where none does.
func (e Environment) Holder(now time.Time) string {
	d := e.Deployment
	if d == nil {
		return ""
	}
	return fmt.Sprintf("deployment of release %d by %s holds %s since %s", d.Release.Number, d.By, e.Key, clock(now, d.BeganAt))
}

func turn(place int) string {
	switch place {
	case 0:
		return "it is next"
	case 1:
		return "1 other before it"
	}
	return fmt.Sprintf("%d others before it", place)
}

// clock is a time as short as it can be told from others, in the zone of now.
func clock(now, t time.Time) string {
	t = t.In(now.Location())
	if now.Sub(t).Abs() < 12*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}
