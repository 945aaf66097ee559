package towpath

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// place is an environment under test, kept by worker w1 in epoch 1.
type place struct {
	t       *testing.T
	env     Environment
	effects []Effect
	now     time.Time
}

func newPlace(t *testing.T) *place {
	t.Helper()
	d := EnvironmentDefinition{Name: "production", Strategy: StrategyDefinition{Kind: StrategyBlueGreen, Standby: time.Hour}}
	p := &place{t: t, env: NewEnvironment("project-1", "shop", d, epochStart), now: epochStart}
	p.happens(KeeperLeased{Worker: "w1", Holder: "w1.1", Tied: true, Expires: p.now.Add(15 * time.Second), At: p.now})
	return p
}

func (p *place) happens(e EnvironmentEvent) {
	p.t.Helper()
	if err := p.env.Refuses(e); err != nil {
		p.t.Fatalf("%#v was refused: %v", e, err)
	}
	p.env, p.effects = p.env.Next(e)
	p.now = p.now.Add(time.Second)
}

func (p *place) refuses(e EnvironmentEvent, code Code) {
	p.t.Helper()
	after, effects := p.env.Next(e)
	if CodeOf(p.env.Refuses(e)) != code || len(effects) > 0 || !cmp.Equal(p.env, after) {
		p.t.Fatalf("%#v: want it refused as %s and nothing changed, got %v", e, code, p.env.Refuses(e))
	}
}

func ref(number int) ReleaseRef { return ReleaseRef{Number: number, Change: number} }

func (p *place) asks(number int, cause Cause) string {
	p.t.Helper()
	id := fmt.Sprintf("d%d-%s-%d", number, cause, p.now.Unix())
	p.happens(DeploymentRequested{Deployment: Deployment{
		ID: id, Release: ref(number), Cause: cause, By: "ana", Run: fmt.Sprint("run-", number), Step: "production",
	}, At: p.now})
	return id
}

func (p *place) reaches(id string) {
	p.t.Helper()
	d := p.env.Deployment
	p.happens(GoalReached{Epoch: p.env.Epoch, Deployment: id, Returning: d != nil && d.IsReturning(), At: p.now})
}

func (p *place) deploys(number int) { p.t.Helper(); p.reaches(p.asks(number, CauseRun)) }

// told answers the state that the deploy step heard of last.
func (p *place) told() (DeploymentState, string) {
	for _, e := range slices.Backward(p.effects) {
		if tell, ok := e.(TellStep); ok {
			return tell.Deployment.State, tell.Deployment.Outcome
		}
	}
	return "", ""
}

func (p *place) serves(live, goal int) {
	p.t.Helper()
	if p.env.Live.Number != live || p.env.Goal.Number != goal {
		p.t.Fatalf("live %d, goal %d; want live %d, goal %d", p.env.Live.Number, p.env.Goal.Number, live, goal)
	}
}

func TestARollbackGoesBackOnceAndPins(t *testing.T) {
	p := newPlace(t)
	p.refuses(RollbackRequested{ID: "b0", By: "ana", At: p.now}, CodeConflict)
	p.deploys(41)
	p.deploys(42)
	p.serves(42, 42)
	p.happens(RollbackRequested{ID: "b1", By: "ana", Reason: "checkout is slow", At: p.now})
	p.serves(42, 41)
	p.refuses(RollbackRequested{ID: "b2", By: "ben", At: p.now}, CodeConflict)
	p.reaches("b1")
	p.serves(41, 41)
	if p.env.Pin == nil || p.env.Pin.From != ref(42) {
		t.Fatalf("pin is %+v, want from release 42", p.env.Pin)
	}
	if !slices.Contains(p.env.Needed(), ref(42)) {
		t.Error("what was gone back from stands by, and its keeper is not told of it")
	}
	p.asks(42, CauseRun)
	if state, reason := p.told(); state != DeploymentRefused || reason == "" {
		t.Fatalf("the pinned release was %s (%s), want refused with a reason", state, reason)
	}
	p.deploys(43)
	if p.env.Pin != nil {
		t.Fatal("a new change did not lift the pin")
	}
	p.serves(43, 43)
}

func TestForwardAndBackTenTimes(t *testing.T) {
	p := newPlace(t)
	p.deploys(1)
	p.deploys(2)
	for i := range 10 {
		id := fmt.Sprint("b", i)
		p.happens(RollbackRequested{ID: id, By: "ana", At: p.now})
		p.reaches(id)
		p.serves(1, 1)
		p.reaches(p.asks(2, CauseManual))
		p.serves(2, 2)
	}
}

func TestAFailedDeploymentGoesBackOnceThenHalts(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	p.happens(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Reason: "/healthz answered 500", At: p.now})
	p.serves(41, 41)
	if p.env.Deployment.State != DeploymentReturning {
		t.Fatalf("deployment is %s", p.env.Deployment.State)
	}
	p.happens(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Returning: true, Reason: "disk full", At: p.now})
	if state, _ := p.told(); state != DeploymentHalted || p.env.Halted != "disk full" {
		t.Fatalf("told %s, halted %q", state, p.env.Halted)
	}
	p.asks(43, CauseRun)
	if state, _ := p.told(); state != DeploymentRefused {
		t.Fatalf("a run was let into a halted environment: %s", state)
	}
	p.reaches(p.asks(43, CauseManual))
	p.serves(43, 43)
}

func TestAWordAboutAGoalThatWasTurnedBackMeanwhileIsNotOneAboutTheWayBack(t *testing.T) {
	p := newPlace(t)
	id := p.asks(1, CauseRun)
	p.happens(RollbackRequested{ID: "back", By: "ana", At: p.now})
	p.refuses(GoalReached{Epoch: p.env.Epoch, Deployment: id, At: p.now}, CodeConflict)
	p.refuses(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Reason: "never healthy", At: p.now}, CodeConflict)
	if d := p.env.Deployment; d == nil || !d.IsReturning() {
		t.Fatalf("release 1 is still to be taken down, and the deployment is %+v", d)
	}
	p.reaches(id)
	p.serves(0, 0)
}

func TestAServerThatWasRestoredCountsOnAboveWhatItsKeeperHeard(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	known := p.env.Serial + 7
	p.happens(KeeperLeased{Worker: "w1", Holder: p.env.Epoch.Holder, Serial: known, Expires: p.now.Add(time.Minute), At: p.now})
	if p.env.Serial <= known {
		t.Errorf("the serial is %d, and the keeper takes it for older than %d", p.env.Serial, known)
	}
}

func TestAFailedFirstDeploymentEndsWithNothingWanted(t *testing.T) {
	p := newPlace(t)
	id := p.asks(1, CauseRun)
	p.happens(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Reason: "it does not start", At: p.now})
	p.serves(0, 0)
	p.reaches(id)
	if state, reason := p.told(); state != DeploymentReturned || reason != "it does not start" {
		t.Fatalf("told %s (%s)", state, reason)
	}
	p.asks(1, CauseRun)
	if state, _ := p.told(); state != DeploymentRefused {
		t.Fatalf("the failed release was tried again by itself: %s", state)
	}
}

func TestARollbackDuringADeploymentTurnsItBack(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	p.happens(RollbackRequested{ID: "b1", By: "ana", At: p.now})
	p.serves(41, 41)
	p.reaches(id)
	if state, reason := p.told(); state != DeploymentReturned || reason != "rolled back by ana" {
		t.Fatalf("told %s (%s)", state, reason)
	}
}

func TestAnOlderChangeWaitsForAPersonsWord(t *testing.T) {
	p := newPlace(t)
	p.deploys(42)
	p.asks(41, CauseRun)
	if state, _ := p.told(); state != DeploymentRefused {
		t.Fatalf("an older release was %s, want refused", state)
	}
	p.reaches(p.asks(41, CauseManual))
	p.serves(41, 41)
}

func TestDeploymentsTakeTurns(t *testing.T) {
	p := newPlace(t)
	first := p.asks(1, CauseRun)
	second := p.asks(2, CauseRun)
	p.serves(0, 1)
	p.reaches(first)
	p.serves(1, 2)
	third := p.asks(3, CauseRun)
	p.happens(DeploymentDropped{Run: "run-3", Step: "production", At: p.now})
	p.reaches(second)
	p.serves(2, 2)
	p.refuses(GoalReached{Epoch: p.env.Epoch, Deployment: third, At: p.now}, CodeConflict)
}

func TestAFrozenEnvironmentRefusesDeploymentsButNotRollbacks(t *testing.T) {
	p := newPlace(t)
	p.deploys(1)
	p.deploys(2)
	p.happens(Frozen{By: "ana", Reason: "black friday", At: p.now})
	p.asks(3, CauseManual)
	if state, reason := p.told(); state != DeploymentRefused || reason != "shop/production is frozen by ana: black friday" {
		t.Fatalf("told %s (%s)", state, reason)
	}
	p.happens(RollbackRequested{ID: "b1", By: "ana", At: p.now})
	p.serves(2, 1)
}

func TestEveryTakeOverRaisesTheEpoch(t *testing.T) {
	p := newPlace(t)
	id := p.asks(1, CauseRun)
	stale := p.env.Epoch
	p.refuses(KeeperLeased{Worker: "w2", Holder: "w2.1", At: p.env.Keeper.Expires.Add(time.Hour)}, CodeConflict)
	p.happens(KeeperLeft{Worker: "w1", At: p.now})
	p.happens(KeeperLeased{Worker: "w1", Holder: "w1.2", Observed: Epoch{Number: 9, Holder: "gone"}, At: p.now})
	if p.env.Epoch != (Epoch{Number: 10, Holder: "w1.2"}) {
		t.Fatalf("epoch is %s, want one above the highest observed", p.env.Epoch)
	}
	p.refuses(GoalReached{Epoch: stale, Deployment: id, At: p.now}, CodeStale)
}

// TestEnvironmentsKeepTheirPromisesInEveryOrder throws every event at an environment, twice, late and out of order.
func TestEnvironmentsKeepTheirPromisesInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := NewEnvironment("p", "shop", EnvironmentDefinition{Name: "production"}, epochStart)
		asked, told := map[string]bool{}, map[string]bool{}
		now := epochStart
		for i := range rapid.IntRange(0, 100).Draw(t, "events") {
			now = now.Add(time.Second)
			event := drawEnvironmentEvent(t, env, i, now)
			before, refused := snapshot(t, env), env.Refuses(event) != nil
			next, effects := env.Next(event)
			if snapshot(t, env) != before {
				t.Fatalf("Next changed the environment that it was called on")
			}
			if refused && (len(effects) > 0 || snapshot(t, next) != before) {
				t.Fatalf("a refused event had an effect")
			}
			if e, ok := event.(DeploymentRequested); ok && !refused {
				asked[e.Deployment.ID] = true
			}
			checkEnvironmentStep(t, env, next, effects, asked, told)
			env = next
		}
	})
}

// checkEnvironmentStep holds what must be true from one state of an environment to the next.
func checkEnvironmentStep(t *rapid.T, before, after Environment, effects []Effect, asked, told map[string]bool) {
	if after.Epoch.Number < before.Epoch.Number || after.Serial < before.Serial {
		t.Fatalf("epoch or serial went down")
	}
	if before.Goal != after.Goal && before.Serial == after.Serial {
		t.Fatalf("the goal changed and nobody told the keeper")
	}
	if d := after.Deployment; d != nil && d.State == DeploymentReturning && after.Goal != after.Live {
		t.Fatalf("it goes back to %v, and the goal is %v", after.Live, after.Goal)
	}
	if after.Deployment == nil && after.Goal != after.Live {
		t.Fatalf("nothing is under way, and the goal %v is not what is live %v", after.Goal, after.Live)
	}
	checkWait(t, before, after)
	if len(after.History) > 0 && after.History[len(after.History)-1] != after.Live {
		t.Fatalf("the live release is not the last of the history")
	}
	for _, e := range effects {
		if tell, ok := e.(TellStep); ok && tell.Deployment.State.IsFinal() {
			if id := tell.Deployment.ID; told[id] || !asked[id] {
				t.Fatalf("deployment %s ended twice, or was never asked for", id)
			}
			told[tell.Deployment.ID] = true
		}
	}
	open := map[string]bool{}
	for _, d := range after.Queue {
		open[d.ID] = true
	}
	if after.Deployment != nil {
		open[after.Deployment.ID] = true
	}
	for id := range asked {
		if open[id] == told[id] {
			t.Fatalf("deployment %s is open: %t, and its step was told of its end: %t", id, open[id], told[id])
		}
	}
}

func drawEnvironmentEvent(t *rapid.T, env Environment, i int, at time.Time) EnvironmentEvent {
	epoch := env.Epoch
	if rapid.IntRange(0, 4).Draw(t, "stale") == 0 {
		epoch.Number--
	}
	id := "none"
	if env.Deployment != nil {
		id = env.Deployment.ID
	}
	cause := rapid.SampledFrom([]Cause{CauseRun, CauseRun, CauseManual}).Draw(t, "cause")
	asked := DeploymentRequested{Deployment: Deployment{
		ID: fmt.Sprint("d", i), Release: ref(rapid.IntRange(0, 6).Draw(t, "release")),
		Cause: cause, Run: fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "run")), Step: "s",
	}, At: at}
	returning := rapid.Bool().Draw(t, "returning")
	reached := GoalReached{Epoch: epoch, Deployment: id, Returning: returning, At: at}
	worker := rapid.SampledFrom([]string{"w1", "w2"}).Draw(t, "worker")
	leased := KeeperLeased{
		Worker: worker, Holder: fmt.Sprint(worker, ".", rapid.IntRange(0, 2).Draw(t, "holder")),
		Observed: Epoch{Number: uint64(rapid.IntRange(0, 5).Draw(t, "observed"))}, Expires: at.Add(3 * time.Second), At: at,
	}
	back := WentBack{
		Epoch: epoch, ID: fmt.Sprint("w", i), Turned: rapid.SampledFrom([]string{"", id}).Draw(t, "turned"),
		To: rapid.SampledFrom([]ReleaseRef{env.Live, env.Previous(), ref(3)}).Draw(t, "back"),
		By: rapid.SampledFrom([]string{"", "ana"}).Draw(t, "by"), Reason: "why", At: at,
		State: rapid.SampledFrom([]DeploymentState{DeploymentLive, DeploymentReturned, DeploymentHalted, "odd"}).Draw(t, "went"),
	}
	return rapid.SampledFrom([]EnvironmentEvent{
		back, back,
		asked, asked, asked, reached, reached, reached, leased, leased,
		GoalFailed{Epoch: epoch, Deployment: id, Returning: returning, Reason: "why", At: at},
		DeploymentDropped{Run: asked.Deployment.Run, Step: "s", At: at},
		RollbackRequested{ID: fmt.Sprint("b", i), By: "ana", At: at},
		Promoted{Deployment: id, By: "ana", At: at},
		DeploymentTested{Epoch: epoch, Deployment: id, At: at},
		HookBegan{Epoch: epoch, Deployment: id, Hook: rapid.SampledFrom(Hooks).Draw(t, "hook"), At: at},
		HookEnded{Epoch: epoch, Deployment: id, Hook: rapid.SampledFrom(Hooks).Draw(t, "ended"), Problem: rapid.SampledFrom([]string{"", "why"}).Draw(t, "problem"), At: at},
		HookLost{Epoch: epoch, Deployment: id, Hook: rapid.SampledFrom(Hooks).Draw(t, "lost"), At: at},
		WatchBegan{Epoch: epoch, Deployment: id, Baseline: []Served{{Release: 1, Requests: 9}}, At: at},
		TrafficObserved{Epoch: epoch, Idle: []string{"i1"}, Taking: []int{rapid.IntRange(1, 4).Draw(t, "taking")}, At: at},
		KeeperLeft{Worker: worker, At: at},
		drawHold(t, env, at),
		drawHold(t, env, at),
		Unpinned{By: "ana", At: at},
		ServerRestored{Backup: at.Add(-time.Hour), At: at},
	}).Draw(t, "event")
}

// A server may be away between the beginning of a watch and the shift of the traffic, for longer than the watch lasts.
func TestTheTimeOfAWatchBeginsWhenItsReleaseIsSeenWithTraffic(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	sees := func(taking ...int) time.Time {
		p.happens(TrafficObserved{Epoch: p.env.Epoch, Taking: taking, At: p.now})
		return p.env.Deployment.TrafficAt
	}
	if at := sees(41, 42); !at.IsZero() {
		t.Errorf("without a watch its time began at %s", at)
	}
	p.happens(WatchBegan{Epoch: p.env.Epoch, Deployment: id, At: p.now})
	if at := sees(41); !at.IsZero() {
		t.Errorf("without traffic its time began at %s", at)
	}
	began := p.now
	for range 3 {
		if at := sees(42); !at.Equal(began) {
			t.Errorf("its time began at %s, not at %s", at, began)
		}
	}
	p.now = began.Add(-24 * time.Hour) // the clock is set back
	if at := sees(42); !at.Equal(began.Add(-24 * time.Hour)) {
		t.Errorf("it would last until a day after %s", at)
	}
}

// A keeper that goes on knows the serials of what came after the backup: one of them would pass for a new order's.
func TestNoOrderOfARestoredServerHasASerialThatItsKeeperKnows(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	backup := p.env
	for release := 42; release < 52; release++ {
		p.deploys(release)
	}
	known := p.env.Serial
	p.env = backup
	p.happens(ServerRestored{Backup: p.now, At: p.now})
	if p.env.Serial <= known {
		t.Errorf("the restored serial is %d, and the keeper knows %d", p.env.Serial, known)
	}
}

// What was in flight a day ago by a clock that was wrong is drained once, not for a day.
func TestAnInstanceIsDrainedAnewWhereTheClockWasSetBack(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	at := p.now
	for name, tt := range map[string]struct{ recorded, wants time.Time }{
		"a day ahead":                {recorded: at.Add(24 * time.Hour), wants: at},
		"of a clock that is not set": {recorded: at.Add(time.Second), wants: at.Add(time.Second)},
		"before":                     {recorded: at.Add(-time.Hour), wants: at.Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			e := p.env
			e.Idle = map[string]time.Time{"i1": tt.recorded}
			e, _ = e.Next(TrafficObserved{Epoch: e.Epoch, Idle: []string{"i1"}, At: at})
			if !e.Idle["i1"].Equal(tt.wants) {
				t.Errorf("it is without traffic since %s", e.Idle["i1"])
			}
		})
	}
}
