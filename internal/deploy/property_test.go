package deploy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// What the planner owes, in any world that failures, crashes and people can make, on every prefix of what a keeper
// performs, and on every prefix of a whole plan in a world that keeps still.

func TestPropertyCapacityNeverFallsBelowTheMinimum(t *testing.T) { holds(t, capacityIsKept) }

func TestPropertyOnlyTheProvedGetTraffic(t *testing.T) { holds(t, onlyTheProvedGetTraffic) }

func TestPropertyACanaryHoldsItsSteps(t *testing.T) { holds(t, stepsAreHeld) }

func TestPropertyFilesOfGoodReleasesStay(t *testing.T) { holds(t, goodFilesStay) }

func TestPropertyARollingDeploymentTakesTurns(t *testing.T) { holds(t, turnsAreTaken) }

func TestPropertyNothingBusyIsStopped(t *testing.T) { holds(t, nothingBusyIsStopped, sidesAreNotMixed) }

func TestPropertyAReleaseIsLiveOnlyAfterItHasStoodItsWatchBesideTheOldSide(t *testing.T) {
	holds(t, watchIsStood, theOldSideStandsBy)
}

func TestPropertyWhatWasMovedByHandIsLeftWhereDriftIsReported(t *testing.T) {
	holds(t, handsAreLeftAlone)
}

func TestPropertyOfASingleProcessAtMostOneRuns(t *testing.T) {
	holds(t, oneRunsAtMost, singlesFollowTheTraffic)
}

func TestPropertyAHookIsRunAtMostOnceADeployment(t *testing.T) { holds(t, hooksAreRunOnce) }

func TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChaos(t, namesAreNew, onlyTheReachedIsConcluded)
		c.calmDown()
		c.converge()
		if err := c.satisfied(); err != nil {
			t.Fatalf("%v\n%v", err, c.world)
		}
	})
}

func TestPropertyWhatGoesBackDoesNotHangOnAHostThatIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChaos(t, capacityIsKept, nothingBusyIsStopped, onlyTheReachedIsConcluded)
		c.calmDown()
		c.environment.Queue = nil
		c.giveUp("a host is gone")
		c.environment.Halted = ""
		c.loseAHost()
		c.goBack()
		c.comeBack()
		c.converge()
		if err := c.satisfied(); err != nil && c.environment.Goal.Number > 0 {
			t.Fatalf("%v\n%v", err, c.world)
		}
	})
}

// goBack lets a keeper work until no deployment is under way.
func (c *chaos) goBack() {
	var done []deploy.Operation
	for bound := 60 + 10*(len(c.processes)+len(c.members)); c.environment.Deployment != nil; {
		seen := c.observe()
		for _, step := range deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now}).UpToBarrier() {
			done = append(done, step.Operation)
			c.wait(time.Second)
			broken, failed := c.judged(c.laws, step.Operation, seen, nil)
			if broken != nil {
				c.t.Fatalf("%v\n%v", broken, c.world)
			}
			if failed != nil {
				break
			}
		}
		if len(done) > bound {
			c.t.Fatalf("no way back after %d operations, the last ones %v\n%v", bound, done[len(done)-10:], c.world)
		}
	}
}

func TestPropertyARemovalLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChaos(t, nothingBusyIsStopped)
		c.calmDown()
		c.environment.Queue = nil
		c.converge()
		c.happens(towpath.RemovalRequested{ID: "removal", By: "ana", At: c.now})
		c.converge()
		if len(c.processes)+len(c.members)+len(c.singles) > 0 || !c.environment.IsRemoved() {
			t.Fatalf("removed %t\n%v", c.environment.IsRemoved(), c.world)
		}
	})
}

func TestPropertyASatisfiedSituationNeedsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := satisfiedWorld(t)
		plan := w.plan()
		if len(plan.Steps) > 0 || !plan.Reached {
			t.Fatalf("%v, reached %t\n%v", plan.Steps, plan.Reached, w)
		}
	})
}

func TestPropertyThePlanIsAFunctionOfTheFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChaos(t)
		facts := deploy.Facts{Environment: c.environment, Observed: c.observe(), Now: c.now}
		again := facts
		again.Observed.Instances = rapid.Permutation(facts.Observed.Instances).Draw(t, "order")
		if steps := len(deploy.NewPlan(facts).Steps); steps > 60 {
			t.Fatalf("a plan of %d steps goes in a circle\n%v", steps, c.world)
		}
		if one, other := fmt.Sprint(deploy.NewPlan(facts)), fmt.Sprint(deploy.NewPlan(again)); one != other {
			t.Fatalf("the same facts in another order:\n%s\n%s", one, other)
		}
	})
}

// holds checks laws in chaos, then on a whole plan from the situation that chaos left.
func holds(t *testing.T, laws ...law) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		c := newChaos(t, laws...)
		c.environment.Queue = nil
		seen := c.observe()
		for _, step := range deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now}).Steps {
			broken, failed := c.judged(laws, step.Operation, seen, nil)
			if broken != nil {
				t.Fatalf("%v\n%v", broken, c.world)
			}
			if failed != nil {
				return
			}
		}
	})
}

func (w *world) plan() deploy.Plan {
	return deploy.NewPlan(deploy.Facts{Environment: w.environment, Observed: w.observe(), Now: w.now})
}

// calmDown ends the failures, not what they left behind.
func (c *chaos) calmDown() {
	c.blind, c.sick, c.erring = false, map[int]bool{}, map[int]bool{}
	clear(c.hazy)
	c.comeBack()
	c.environment.Definition.Drift = towpath.DriftMend
	c.lookAtHooks()
	if c.environment.Halted != "" || c.environment.Goal.Number == 0 && c.environment.Deployment == nil {
		c.last++
		c.happens(towpath.DeploymentRequested{At: c.now, Deployment: towpath.Deployment{
			ID: "calm", Release: towpath.ReleaseRef{Number: c.last, Change: c.last}, Cause: towpath.CauseManual,
		}})
	}
}

// lookAtHooks lets a person go back where a hook was cut off and nobody knows what it has done.
func (c *chaos) lookAtHooks() {
	d := c.environment.Deployment
	if d == nil || d.State != towpath.DeploymentRunning {
		return
	}
	for _, receipt := range d.Hooks {
		if receipt.State == towpath.HookBegun || receipt.State == towpath.HookUnknown {
			c.rollBack()
			return
		}
	}
}

// converge lets a keeper work whose operations succeed, until it has nothing to do.
func (c *chaos) converge() {
	bound := 40*(1+len(c.environment.Queue)) + 10*(len(c.processes)+len(c.members))
	var done []deploy.Operation
	for {
		seen := c.observe()
		batch := deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now}).UpToBarrier()
		if len(batch) == 0 {
			return
		}
		for _, step := range batch {
			done = append(done, step.Operation)
			c.wait(time.Second)
			broken, failed := c.judged(c.laws, step.Operation, seen, nil)
			if broken != nil {
				c.t.Fatalf("%v\n%v", broken, c.world)
			}
			if failed != nil {
				break
			}
		}
		if len(done) > bound {
			c.t.Fatalf("no end after %d operations, the last ones %v\n%v", bound, done[len(done)-10:], c.world)
		}
	}
}

// satisfiedWorld is one where the live release serves, as the definition wants it.
func satisfiedWorld(t *rapid.T) *world {
	c := &chaos{t: t}
	c.drawTarget()
	w := newWorld(c.draw(rapid.Bool().Draw(t, "balanced")))
	for n := range 2 {
		ref := towpath.ReleaseRef{Number: n + 1, Change: n + 1}
		w.environment.History = append(w.environment.History, ref)
		w.environment.Goal, w.environment.Live = ref, ref
	}
	w.environment.StandbyUntil = rapid.SampledFrom([]time.Time{{}, noon, noon.Add(time.Hour)}).Draw(t, "standby until")
	serials := rapid.SliceOfNDistinct(rapid.IntRange(1, 99), w.definition().Instances, w.definition().Instances, rapid.ID[int]).Draw(t, "serials")
	weight := rapid.IntRange(1, deploy.FullWeight).Draw(t, "weight")
	for n, serial := range slices.Sorted(slices.Values(serials)) {
		id := towpath.InstanceID(2, serial)
		p := &process{release: 2, state: towpath.InstanceRunning, passed: true, since: noon}
		w.processes[id] = p
		if w.hasHosts() {
			slots := max(1, len(w.definition().Target.Hosts.Slots))
			p.slot = w.definition().Target.Slots()[n*slots+rapid.IntRange(0, slots-1).Draw(t, "slot")].Name
			w.keep(towpath.InstanceID(1, 100+serial), p.slot, rapid.Bool().Draw(t, "kept"))
		}
		if w.isBalanced() {
			w.members[id] = &member{weight: weight, requests: rapid.IntRange(0, 3).Draw(t, "requests")}
		}
		w.settleSingles(id)
	}
	return w
}
