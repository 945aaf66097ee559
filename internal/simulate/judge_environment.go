package simulate

import (
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// memory is what the world remembers of an environment.
type memory struct {
	pin      int          // change that was gone back from; 0 is none
	isFrozen bool         // a freeze was acknowledged, and nobody has asked for its end
	failed   map[int]bool // releases that failed since a person wanted them
	began    map[string]bool
	turned   map[string]bool
	last     int                  // release that began last
	wanted   map[int]bool         // releases that a person has asked for
	watches  map[string]watchSeen // by deployment
	steps    map[string]stepped   // by deployment
	hooks    map[string]bool      // by deployment and hook: it was run
}

func (j *judge) remember(key string) *memory {
	if j.memory[key] == nil {
		j.memory[key] = &memory{
			failed: map[int]bool{}, began: map[string]bool{}, turned: map[string]bool{}, wanted: map[int]bool{},
			watches: map[string]watchSeen{}, steps: map[string]stepped{}, hooks: map[string]bool{},
		}
	}
	return j.memory[key]
}

// wants is a person's wish for a release: it lifts pins, and what is held against the release.
func (j *judge) wants(key string, release int) {
	m := j.remember(key)
	m.pin, m.wanted[release] = 0, true
	delete(m.failed, release)
}

// rolledBack is a rollback that was acknowledged.
func (j *judge) rolledBack(key string, d towpath.Deployment) {
	j.look() // what had begun before had begun
	j.remember(key).pin = d.Release.Change
	if d.Cause == towpath.CauseRollback {
		j.remember(key).pin = d.From.Change
	}
}

// froze is a freeze that was acknowledged.
func (j *judge) froze(key string) {
	j.look() // what had begun before had begun
	j.remember(key).isFrozen = true
}

func (j *judge) thaws(key string) { j.remember(key).isFrozen = false }

// environmentIs judges an environment as it is now by what it was.
func (j *judge) environmentIs(e towpath.Environment) {
	before := j.places[e.Key]
	j.places[e.Key] = e
	d := e.Deployment
	if d == nil {
		if e.Halted == "" && e.Goal != e.Live {
			j.breaks(turns, "%s: nothing is under way, release %d is live and %d is the goal", e.Key, e.Live.Number, e.Goal.Number)
		}
		return
	}
	m := j.remember(e.Key)
	if !m.began[d.ID] {
		m.began[d.ID] = true
		j.begins(e, *d, m)
	}
	j.watches(e.Key, *d, m)
	j.stepsOn(e.Key, *d, m)
	switch d.State {
	case towpath.DeploymentRunning:
		if m.turned[d.ID] {
			j.breaks(turns, "%s: deployment %s had turned back, and runs again", e.Key, d.ID)
		}
		if e.Goal != d.Release {
			j.breaks(turns, "%s: release %d is deployed, and %d is the goal", e.Key, d.Release.Number, e.Goal.Number)
		}
	case towpath.DeploymentReturning:
		if !m.turned[d.ID] && slices.Contains(e.Failed, d.Release) && !slices.Contains(before.Failed, d.Release) {
			m.failed[d.Release.Number] = true
			if e.Live.Number > 0 {
				m.pin = d.Release.Change
			}
		}
		m.turned[d.ID] = true
		if e.Goal != e.Live {
			j.breaks(turns, "%s: it goes back, release %d is live and %d is the goal", e.Key, e.Live.Number, e.Goal.Number)
		}
	default:
		j.breaks(turns, "%s: a deployment that is %s is under way", e.Key, d.State)
	}
}

// lastGood is the release with which a person ends a halt.
func (j *judge) lastGood(e towpath.Environment) int {
	if e.Live.Number > 0 {
		return e.Live.Number
	}
	return max(1, j.remember(e.Key).last)
}

// begins judges that a deployment may.
func (j *judge) begins(e towpath.Environment, d towpath.Deployment, m *memory) {
	j.changes[d.Release.Number], m.last = d.Release.Change, d.Release.Number
	if m.isFrozen && d.Cause != towpath.CauseRollback {
		j.breaks(frozen, "%s is frozen, and release %d is deployed", e.Key, d.Release.Number)
	}
	if d.Cause != towpath.CauseRun {
		if d.Cause == towpath.CauseManual {
			m.pin = 0 // also one of a failure since it was asked for
		}
		return
	}
	switch {
	case d.Release.Change < j.changes[e.Live.Number]:
		j.breaks(newer, "%s: release %d of change %d begins while one of change %d is live", e.Key, d.Release.Number, d.Release.Change, j.changes[e.Live.Number])
	case d.Release.Change <= m.pin:
		j.breaks(pinned, "%s: release %d of change %d begins, which was gone back from", e.Key, d.Release.Number, d.Release.Change)
	case m.failed[d.Release.Number]:
		j.breaks(failed, "%s: release %d failed, and begins again by itself", e.Key, d.Release.Number)
	}
	m.pin = 0
}

// checkDeployments judges that what has ended stays so, and that a step deploys once to an environment.
func (j *judge) checkDeployments(deployments []towpath.Deployment) {
	steps := map[string]string{}
	for _, d := range deployments {
		was := j.ended[d.ID]
		if isEnd(was) && was != d.State {
			j.breaks(turns, "deployment %s was %s, and is %s", d.ID, was, d.State)
		}
		j.ended[d.ID] = d.State
		if d.Run == "" {
			continue
		}
		name := d.Environment + " " + d.Run + " " + d.Step
		if other, is := steps[name]; is {
			j.breaks(once, "one step made the deployments %s and %s", other, d.ID)
		}
		steps[name] = d.ID
	}
}

func isEnd(s towpath.DeploymentState) bool {
	switch s {
	case towpath.DeploymentLive, towpath.DeploymentReturned, towpath.DeploymentHalted, towpath.DeploymentRefused, towpath.DeploymentWithdrawn,
		towpath.DeploymentRemoved:
		return true
	}
	return false
}

// ordered keeps which process has which epoch.
func (j *judge) ordered(k *keeper, environments []towpath.Environment) {
	for _, e := range environments {
		known := j.grants[e.Epoch]
		if known != nil && (known.to != k || known.life != k.life) {
			j.breaks(fenced, "%s and %s were both given epoch %s of %s", known.to.name, k.name, e.Epoch, e.Key)
		}
		if known == nil {
			j.granted++
			j.grants[e.Epoch] = &grant{number: j.granted, to: k, life: k.life}
		}
	}
}

// looks is a keeper that sees how things are: what earlier ones have ordered must not change it any more, where it was seen.
func (j *judge) looks(s *site, epoch towpath.Epoch, seen towpath.Observation) {
	g := j.grants[epoch]
	if g == nil {
		return
	}
	isAway := map[string]bool{}
	for _, slot := range seen.Slots {
		isAway[slot.Host] = slot.Problem != ""
	}
	for _, b := range s.target.boxes {
		if !isAway[b.name] {
			j.latest[s.key+" "+b.name] = max(j.latest[s.key+" "+b.name], g.number)
		}
	}
	j.latest[s.key+" balancer"] = max(j.latest[s.key+" balancer"], g.number)
}

// stale judges the keeper whose order is about to change something there.
func (j *judge) stale(s *site, where string, o order) {
	if g := j.grants[o.epoch]; g == nil || g.number < j.latest[s.key+" "+where] {
		j.breaks(fenced, "%s: %q of epoch %s changes something of %s after a later keeper has looked", s.key, o, o.epoch, where)
	}
}

// isSick says whether a release will ever be healthy.
func (j *judge) isSick(release int) bool {
	return j.fated(j.sick, release, j.world.drawn.faults.sick)
}

// isRotten says whether a release answers errors though it passes its probe.
func (j *judge) isRotten(release int) bool {
	return j.fated(j.rotten, release, j.world.drawn.faults.rotten)
}

// fated draws what a release is like when it is first seen.
func (j *judge) fated(known map[int]bool, release int, chance float64) bool {
	is, drawn := known[release]
	if !drawn {
		is = j.world.fault(chance)
		known[release] = is
	}
	return is
}

// placed judges the bytes of an instance.
func (j *judge) placed(s *site, o order, i *instance) {
	run := o.release.Run
	if built := j.builtFor(run); len(i.digests) != 1 || !built[i.digests[0]] {
		j.breaks(sameBytes, "%s: %s is placed with %v, and run %s has built %v", s.key, i.id, i.digests, run, sortedKeys(built))
		return
	}
	if s.key == "shop/production" && j.world.drawn.shape.approve && !j.seen[run][i.digests[0]] {
		j.breaks(approved, "%s: %s is placed with %s, which nobody approved", s.key, i.id, i.digests[0])
	}
}

// builtFor answers the digests that a run's builds made: in this run or, where it repeats a part of another, in the one
// that its build has ended in.
func (j *judge) builtFor(run string) map[string]bool {
	for _, step := range j.runs[run].Steps {
		if step.Kind != towpath.KindBuild || step.From == 0 {
			continue
		}
		for id, other := range j.runs {
			if other.Number == step.From {
				return j.built[id]
			}
		}
	}
	return j.built[run]
}

// planned keeps whether anything is left to do.
func (j *judge) planned(s *site, plan deploy.Plan) {
	j.plans[s.key] = plannedAt{steps: len(plan.Steps), at: j.world.now}
	j.concludes(s, plan)
}
