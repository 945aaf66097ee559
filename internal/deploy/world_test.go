package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// world is a model of its own of what a planner acts upon: processes, a balancer's table, what is in flight, a clock.
// It knows the truth, and breaks no law itself; it shares nothing with the planner but the nouns.
type world struct {
	now         time.Time
	environment towpath.Environment
	processes   map[string]*process
	members     map[string]*member
	sick        map[int]bool    // releases whose instances never become healthy
	erring      map[int]bool    // releases that pass their probe, and answer every tenth request with an error
	answered    map[int]uint64  // requests, by release
	erred       map[int]uint64  // of these
	stood       string          // the deployment whose watch was waited for to its end
	byHand      map[string]bool // instances whose share somebody else has changed since the last shift
	hooks       map[string]int  // how often each hook of each deployment was run
	ever        map[string]bool // instances that were ever seen
	blind       bool            // the balancer cannot be read
	checks      bool            // the balancer looks for itself whether its members answer
	misrouted   bool            // the balancer takes requests elsewhere than the definition says
	hazy        map[string]bool // instances that the target cannot say anything about
	hosts       hosts
	singles     []single // that run
}

// process is an instance as it really is.
type process struct {
	release int
	state   towpath.InstanceState
	passed  bool // its probe, since it was started
	broken  bool // it hangs: its probe fails from now on
	slot    string
	since   time.Time
}

// member is an instance in the balancer as it really is.
type member struct {
	weight            int
	requests, streams int
	idleSince         time.Time // since when its weight has been 0
}

func newWorld(d towpath.EnvironmentDefinition) *world {
	return &world{
		now: noon, environment: towpath.NewEnvironment("p1", "shop", d, noon),
		processes: map[string]*process{}, members: map[string]*member{},
		sick: map[int]bool{}, erring: map[int]bool{}, answered: map[int]uint64{}, byHand: map[string]bool{}, hooks: map[string]int{}, erred: map[int]uint64{}, ever: map[string]bool{}, hazy: map[string]bool{},
		hosts: hosts{dead: map[string]bool{}, cut: map[string]bool{}, mute: map[string]bool{}, since: map[string]time.Time{}},
	}
}

func (w *world) definition() towpath.EnvironmentDefinition { return w.environment.Definition }
func (w *world) isBalanced() bool                          { return w.definition().Balancer.Proxy != nil }

func (w *world) isAllAtOnce() bool {
	switch w.definition().Strategy.Kind {
	case towpath.StrategyRolling:
		return false
	case towpath.StrategyBlueGreen, towpath.StrategyCanary:
		return !w.isBalanced() || w.hasOneSlotAHost()
	default:
		return true
	}
}

// isHealthy says that requests to the instance are answered.
func (w *world) isHealthy(id string) bool {
	p := w.processes[id]
	return p != nil && p.state == towpath.InstanceRunning && p.passed && !p.broken && !w.sick[p.release] && !w.isDead(p)
}

// capacity counts the healthy instances that take traffic: without a balancer, all that are healthy.
func (w *world) capacity() int {
	count := 0
	for id := range w.processes {
		if !w.isBalanced() && w.isHealthy(id) {
			count++
		}
	}
	for id, m := range w.members {
		if m.weight > 0 && w.isHealthy(id) {
			count++
		}
	}
	return count
}

// observe answers what the drivers would see, and records what a keeper would record of it.
func (w *world) observe() towpath.Observation {
	seen := towpath.Observation{
		At: w.now, Blind: w.isBalanced() && w.blind, Misrouted: w.isBalanced() && w.misrouted && !w.blind,
	}
	seen.Slots = w.lookAtSlots()
	for _, id := range slices.Sorted(maps.Keys(w.processes)) {
		if !w.isForgotten(id) {
			seen.Instances = append(seen.Instances, w.look(id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.members)) {
		if w.processes[id] == nil && !w.blind {
			i := towpath.Instance{ID: id, State: towpath.InstanceGone, Health: towpath.HealthFailing}
			i.Release = releaseOf(id)
			i.Traffic = w.lookAtTraffic(id)
			seen.Instances = append(seen.Instances, i)
		}
	}
	if w.isBalanced() && !w.blind {
		seen.Served = w.served()
	}
	seen.Singles = w.lookAtSingles()
	w.record(seen)
	return seen
}

// served is what the balancer has counted.
func (w *world) served() (counts []towpath.Served) {
	for _, release := range slices.Sorted(maps.Keys(w.answered)) {
		counts = append(counts, towpath.Served{Release: release, Requests: w.answered[release], Errors: w.erred[release]})
	}
	return counts
}

// serve answers so many requests.
func (w *world) serve(requests uint64) {
	for id, m := range w.members {
		if p := w.processes[id]; m.weight > 0 && p != nil {
			w.answered[p.release] += requests
			if w.erring[p.release] {
				w.erred[p.release] += requests / 10
			}
		}
	}
}

func (w *world) look(id string) towpath.Instance {
	p := w.processes[id]
	i := towpath.Instance{
		ID: id, Release: p.release, State: p.state, Slot: p.slot, Since: p.since,
		Health: towpath.HealthUnknown, Traffic: w.lookAtTraffic(id),
	}
	switch {
	case w.isAway(p) && i.Traffic.Checked != "":
		i.State, i.Health = towpath.InstanceUnknown, i.Traffic.Checked
	case w.hosts.mute[w.hostOf(p.slot)]:
		i.State, i.Silent, i.Since = towpath.InstanceUnknown, true, w.hosts.since[w.hostOf(p.slot)]
	case w.isDead(p):
		i.State, i.Health = towpath.InstanceUnknown, towpath.HealthFailing
	case w.isAway(p) && w.isHealthy(id):
		i.State, i.Health = towpath.InstanceUnknown, towpath.HealthPassing
	case w.hazy[id], w.isAway(p):
		i.State = towpath.InstanceUnknown
	case w.isHealthy(id):
		i.Health = towpath.HealthPassing
	case p.state == towpath.InstanceFailing, p.state == towpath.InstanceRunning && (p.broken || w.sick[p.release]):
		i.Health = towpath.HealthFailing
	}
	return i
}

func (w *world) lookAtTraffic(id string) towpath.Traffic {
	if !w.isBalanced() {
		return towpath.Traffic{Known: true}
	}
	if w.blind {
		return towpath.Traffic{}
	}
	if m := w.members[id]; m != nil {
		seen := towpath.Traffic{
			Known: true, Member: true, Weight: m.weight, Requests: m.requests, Streams: m.streams, ByHand: w.byHand[id],
		}
		if w.checks && m.weight > 0 {
			seen.Checked = towpath.HealthFailing
			if w.isHealthy(id) {
				seen.Checked = towpath.HealthPassing
			}
		}
		return seen
	}
	return towpath.Traffic{Known: true, ByHand: w.byHand[id]}
}

func (w *world) record(seen towpath.Observation) {
	told := towpath.TrafficObserved{Epoch: w.environment.Epoch, At: w.now}
	for _, i := range seen.Instances {
		w.ever[i.ID] = true
		told.LastInstance = max(told.LastInstance, serialOf(i.ID))
		if i.Traffic.Known && i.Traffic.Weight == 0 {
			told.Idle = append(told.Idle, i.ID)
		}
		if i.Traffic.Weight > 0 {
			told.Taking = append(told.Taking, i.Release)
		}
	}
	w.happens(told)
}

func (w *world) happens(e towpath.EnvironmentEvent) { w.environment, _ = w.environment.Next(e) }

func releaseOf(id string) (release int) {
	_, _ = fmt.Sscanf(id, "r%d-", &release)
	return release
}

func serialOf(id string) (serial int) {
	var release int
	_, _ = fmt.Sscanf(id, "r%d-%d", &release, &serial)
	return serial
}

// wait lets time pass.
func (w *world) wait(d time.Duration) { w.now = w.now.Add(d) }

// String tells the truth, for a failed test.
func (w *world) String() string {
	e := w.environment
	text := fmt.Sprintf("at %s goal %d live %d standby until %s, %+v, instances %d, minimum %d, dead %v, cut off %v, mute %v, history %v",
		w.now.Format(time.TimeOnly), e.Goal.Number, e.Live.Number, e.StandbyUntil.Format(time.TimeOnly),
		w.definition().Strategy, w.wanted(), w.definition().Minimum, w.hosts.dead, w.hosts.cut, w.hosts.mute, e.History)
	for _, id := range slices.Sorted(maps.Keys(w.processes)) {
		text += fmt.Sprintf("\n  %s %+v", id, *w.processes[id])
	}
	text += fmt.Sprintf("\n  singles %+v, recorded %+v, of %+v", w.singles, e.Singles, w.definition().Processes)
	for _, id := range slices.Sorted(maps.Keys(w.members)) {
		text += fmt.Sprintf("\n  member %s %+v", id, *w.members[id])
	}
	return text
}
