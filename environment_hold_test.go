package towpath

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// epochStart is a Friday, 09:00 of UTC; windowed takes deployments on weekdays from 10 to 16 there.
func windowed(t *testing.T) *place {
	p := newPlace(t)
	p.env.Definition.Windows = []Window{{
		Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}, From: 10 * 60, To: 16 * 60, Zone: "Europe/Berlin",
	}}
	p.now = moment(t, "2026-11-20T17:30:00Z") // Friday, 18:30
	return p
}

func TestADeploymentOutsideOfItsWindowWaitsAndBeginsByItself(t *testing.T) {
	p := windowed(t)
	p.env.Live, p.env.History = ref(1), []ReleaseRef{ref(1)}
	first := p.asks(2, CauseRun)
	if state, _ := p.told(); state != DeploymentWaiting {
		t.Fatalf("its step was told %s", state)
	}
	second := p.asks(3, CauseManual)
	if want := "waits for Mon 10:00 Europe/Berlin; it is next"; p.env.Waits(0, p.now) != want {
		t.Errorf("the first %q, want %q", p.env.Waits(0, p.now), want)
	}
	if want := "waits for Mon 10:00 Europe/Berlin; 1 other before it"; p.env.Waits(1, p.now) != want {
		t.Errorf("the second %q, want %q", p.env.Waits(1, p.now), want)
	}
	p.refuses(TimeCame{At: moment(t, "2026-11-23T08:59:59Z")}, CodeConflict)
	p.now = moment(t, "2026-11-23T09:00:00Z")
	p.happens(TimeCame{At: p.now})
	if d := p.env.Deployment; d == nil || d.ID != first || !p.env.OpensAt.IsZero() {
		t.Fatalf("under way is %+v, and it opens at %s", d, p.env.OpensAt)
	}
	p.now = moment(t, "2026-11-23T15:30:00Z") // Monday, 16:30: what has begun ends
	p.reaches(first)
	if p.serves(2, 2); p.env.Deployment != nil || len(p.env.Queue) != 1 || p.env.OpensAt.IsZero() {
		t.Fatal("the second did not wait for the next day")
	}
	p.now = moment(t, "2026-11-24T09:00:07Z")
	fourth := p.asks(4, CauseRun) // before the server has looked at the clock
	if d := p.env.Deployment; d == nil || d.ID != second {
		t.Fatalf("under way is %+v", d)
	}
	p.reaches(second)
	p.reaches(fourth)
	p.serves(4, 4)
}

func TestARollbackStartsOutsideOfAWindow(t *testing.T) {
	p := windowed(t)
	p.env.Live, p.env.Goal, p.env.History = ref(2), ref(2), []ReleaseRef{ref(1), ref(2)}
	p.asks(3, CauseRun)
	p.happens(RollbackRequested{ID: "b1", By: "ana", At: p.now})
	p.serves(2, 1)
	p.reaches("b1")
	if p.serves(1, 1); len(p.env.Queue) != 1 {
		t.Error("what waited is lost")
	}
}

func TestAPersonMayLetADeploymentStartOutsideOfItsWindow(t *testing.T) {
	p := windowed(t)
	p.asks(1, CauseRun)
	second, third := p.asks(2, CauseRun), p.asks(3, CauseRun)
	p.refuses(StartAllowed{Deployment: second, By: "ana", At: p.now}, CodeInvalid)
	p.refuses(StartAllowed{Deployment: "none", By: "ana", Reason: "r", At: p.now}, CodeConflict)
	p.happens(StartAllowed{Deployment: second, By: "ana", Reason: "the checkout is broken", At: p.now})
	if d := p.env.Deployment; d == nil || d.ID != second || d.AllowedBy != "ana" || d.AllowedFor != "the checkout is broken" {
		t.Fatalf("under way is %+v", d)
	}
	p.happens(StartAllowed{Deployment: third, By: "ben", Reason: "so is the cart", At: p.now})
	p.refuses(StartAllowed{Deployment: third, By: "ana", Reason: "r", At: p.now}, CodeConflict)
	p.reaches(second)
	p.reaches(third)
	p.serves(3, 3)
	p.now = moment(t, "2026-11-23T09:00:00Z")
	p.happens(TimeCame{At: p.now})
	if state, reason := p.told(); state != DeploymentRefused || !strings.Contains(reason, "older change") {
		t.Errorf("what was overtaken is %s (%s)", state, reason)
	}
	p.refuses(StartAllowed{Deployment: "x", By: "ana", Reason: "r", At: p.now}, CodeConflict)
}

func TestAChangeCannotLetItselfInByAnotherWindow(t *testing.T) {
	p := windowed(t)
	open := p.env.Definition
	open.Windows = nil
	p.happens(DeploymentRequested{Deployment: Deployment{ID: "d1", Release: ref(1), Cause: CauseRun, Definition: &open}, At: p.now})
	if p.env.Deployment != nil {
		t.Fatal("it has begun")
	}
	p.now = moment(t, "2026-11-23T09:00:00Z")
	p.happens(TimeCame{At: p.now})
	p.reaches("d1")
	p.now = moment(t, "2026-11-23T20:00:00Z")
	p.deploys(2)
	p.serves(2, 2)
}

// A window that was computed while the clock was ahead is not waited for once the clock is right.
func TestAClockThatWasWrongDoesNotMakeADeploymentWaitLonger(t *testing.T) {
	p := windowed(t)
	p.now = moment(t, "2027-11-20T17:30:00Z")
	id := p.asks(1, CauseRun)
	p.now = moment(t, "2026-11-23T09:30:00Z")
	p.happens(TimeCame{At: p.now})
	if p.env.Deployment == nil || p.env.Deployment.ID != id {
		t.Error("it waits for a year")
	}
}

func TestAFreezeRunsOut(t *testing.T) {
	p := newPlace(t)
	until := p.now.Add(time.Hour)
	p.refuses(Frozen{By: "ana", Until: p.now, At: p.now}, CodeInvalid)
	p.happens(Frozen{By: "ana", Reason: "the sale", Until: until, At: p.now})
	p.asks(1, CauseManual)
	want := "shop/production is frozen by ana until " + until.UTC().Format("2 Jan 2006 15:04 MST") + ": the sale"
	if state, reason := p.told(); state != DeploymentRefused || reason != want {
		t.Errorf("told %s (%s), want %q", state, reason, want)
	}
	p.refuses(TimeCame{At: p.now}, CodeConflict)
	p.now = until
	p.happens(TimeCame{At: p.now})
	if p.env.Freeze != nil {
		t.Error("it is still there")
	}
	p.happens(Frozen{By: "ana", Until: p.now.Add(time.Minute), At: p.now})
	p.now = p.now.Add(time.Hour) // nobody has looked at the clock since
	p.deploys(2)
	p.serves(2, 2)
}

func TestFreezesOfSeveralScopesHoldEachByItself(t *testing.T) {
	p := newPlace(t)
	p.deploys(1)
	p.refuses(Frozen{Scope: FreezeName, Of: "staging", By: "ben", At: p.now}, CodeConflict)
	p.happens(Frozen{Scope: FreezeName, Of: "production", By: "ben", Reason: "the fair", At: p.now})
	p.happens(Frozen{Scope: FreezeProject, Of: "project-1", By: "cleo", At: p.now})
	p.refuses(Thawed{By: "ana", At: p.now}, CodeConflict)
	p.asks(2, CauseRun)
	if _, reason := p.told(); reason != "shop/production is frozen by ben with every production: the fair" {
		t.Errorf("told %q", reason)
	}
	p.happens(Thawed{Scope: FreezeName, By: "ben", At: p.now})
	p.asks(3, CauseRun)
	if _, reason := p.told(); reason != "shop/production is frozen by cleo with its whole project" {
		t.Errorf("told %q", reason)
	}
	p.happens(Thawed{Scope: FreezeProject, By: "ben", At: p.now})
	p.deploys(4)
	p.serves(4, 4)
}

func TestWhoWaitsIsToldWhoHoldsTheEnvironment(t *testing.T) {
	p := newPlace(t)
	p.now = moment(t, "2026-11-20T14:02:00Z")
	p.asks(41, CauseRun)
	p.asks(42, CauseRun)
	if want := "deployment of release 41 by ana holds shop/production since 14:02; it is next"; p.env.Waits(0, p.now) != want {
		t.Errorf("%q, want %q", p.env.Waits(0, p.now), want)
	}
	p.happens(Frozen{By: "ben", Reason: "the sale", At: p.now})
	if !strings.Contains(p.env.Waits(0, p.now), "; frozen by ben: the sale; it is next") {
		t.Errorf("the freeze is not told: %q", p.env.Waits(0, p.now))
	}
}

// drawHold draws what holds deployments, and what lets them go.
func drawHold(t *rapid.T, env Environment, at time.Time) EnvironmentEvent {
	scope := rapid.SampledFrom([]FreezeScope{FreezeEnvironment, FreezeProject, FreezeName}).Draw(t, "scope")
	of := map[FreezeScope]string{FreezeProject: env.Project, FreezeName: env.Name}[scope]
	id := "none"
	if len(env.Queue) > 0 {
		id = rapid.SampledFrom(env.Queue).Draw(t, "waiting").ID
	}
	windows := env.Definition
	windows.Windows = rapid.SampledFrom([][]Window{nil, {{From: 0, To: 720}}, {{From: (at.Hour()*60 + at.Minute() + 2) % 1440, To: 1}}}).Draw(t, "windows")
	return rapid.SampledFrom([]EnvironmentEvent{
		Frozen{Scope: scope, Of: of, By: "ana", At: at, Until: rapid.SampledFrom([]time.Time{{}, at.Add(3 * time.Second)}).Draw(t, "until")},
		Thawed{Scope: scope, By: "ana", At: at},
		TimeCame{At: at},
		StartAllowed{Deployment: id, By: "ana", Reason: "why", At: at},
		DeploymentRequested{Deployment: Deployment{ID: "w" + at.String(), Release: ref(7), Cause: CauseManual, Run: "w", Step: "s", Definition: &windows}, At: at},
	}).Draw(t, "hold")
}

// checkWait holds that something waits only for what is under way or for a window, and that it is known until when.
func checkWait(t *rapid.T, before, after Environment) {
	isFree := after.Deployment == nil && len(after.Queue) > 0
	if isFree == after.OpensAt.IsZero() {
		t.Fatalf("%d wait with %+v under way, until %s", len(after.Queue), after.Deployment, after.OpensAt)
	}
	if d := after.Deployment; d != nil && before.Deployment == nil && d.Cause != CauseRollback && d.AllowedBy == "" && !before.Definition.isOpen(d.BeganAt) {
		t.Fatalf("%s has begun at %s, outside of %+v", d.ID, d.BeganAt, before.Definition.Windows)
	}
	overtook := slices.ContainsFunc(after.Queue, func(d Deployment) bool {
		begun := after.Deployment
		return begun != nil && begun.Cause != CauseRollback && begun.AllowedBy == "" && d.RequestedAt.Before(begun.RequestedAt)
	})
	if overtook {
		t.Fatalf("%s has overtaken one of %+v", after.Deployment.ID, after.Queue)
	}
}
