package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// FullWeight is the weight of an instance that takes its whole share of new requests. Drivers turn it into their own
// steps, and report what they read on this scale.
const FullWeight = 100

// Performer says whose hands an operation needs.
type Performer string

// The performers.
const (
	ByTarget   Performer = "target"   // the target's driver
	ByBalancer Performer = "balancer" // the balancer's driver
	ByKeeper   Performer = "keeper"   // the keeper itself
	ByNobody   Performer = "nobody"   // a wait for a person or a clock: a recorded fact ends it, nothing is held meanwhile
)

// Operation is something to do in an environment. The set is closed. Every operation is absolute: it says how things
// shall be, not how they shall change, so that it can be done twice, and again after a crash in its middle.
type Operation interface {
	String() string // in words: "place r42-7 of release 42"
	operation()
}

// The operations of a target.
type (
	// Check sees that there is room for so many more instances of the release, and that it can run here.
	Check struct {
		Release   int
		Instances int      // how many
		Slots     []string `json:",omitempty"` // where, if the target's slots are fixed; other hosts may be away
	}
	// Place puts the release's files where the instances will run. An instance is observed as placed only when all its
	// files are there; what a crash leaves half done is the driver's to sweep away.
	Place struct {
		Release   int
		Instances []string
		Slots     map[string]string `json:",omitempty"` // by instance: where it will run, if the target's slots are fixed
	}
	// Start lets the instances run. What runs in the slot of one makes room for it, and is stopped then: so nothing may be
	// in flight there. A target stages what it can before it changes the first slot, and changes all of them together; where
	// one cannot follow, it brings back those that it has changed, and fails.
	Start struct{ Instances []string }
	// Probe waits until each instance has passed its probe, at most Within. One that has not is a Permanent error with
	// the probe's last answer.
	Probe struct {
		Instances []string
		Within    time.Duration
	}
	// Stop ends the instances by the definition's signal, and makes them end after its time.
	Stop struct{ Instances []string }
	// Remove deletes the files of stopped instances.
	Remove struct{ Instances []string }
	// StartSingle starts a single process beside an instance, and sees that it runs. A target refuses it while it cannot say
	// that none of that name runs elsewhere on its machines, as far as they answer.
	StartSingle struct{ Process, Instance string }
	// StopSingle ends a single process beside an instance. It has ended certainly when it is done.
	StopSingle struct{ Process, Instance string }
	// Inspect reads what the instances said last (Receipt.Log). It changes nothing.
	Inspect struct{ Instances []string }
)

// The operations of a balancer.
type (
	// Shift sets the weight of every instance it names in one change, on a scale from 0 to FullWeight; it names every
	// member. One that is no member yet becomes one; one that it does not name gets weight 0. None is forgotten. Where the
	// balancer takes requests is as the definition says then.
	Shift struct {
		Weights map[string]int
		Sticky  bool `json:",omitempty"` // a visitor stays on the side that answered first, as long as both have a share
	}
	// Drain waits until instances of weight 0 have no request in flight, at most Within. Then it is done, whatever is
	// still in flight.
	Drain struct {
		Instances []string
		Within    time.Duration
	}
	// EndStreams waits until instances of weight 0 have no stream open, at most Within, then closes those that are left.
	EndStreams struct {
		Instances []string
		Within    time.Duration
	}
	// Shorten lets clients keep where the environment answers no longer than this. Who serves does not change.
	Shorten struct{ TTL time.Duration }
	// Forget takes instances of weight 0 out of the balancer's table, also where something is still in flight.
	Forget struct{ Instances []string }
)

// The operations of the keeper.
type (
	// Test runs the strategy's script against the own addresses of the idle side. That it passed is recorded
	// (towpath.DeploymentTested).
	Test struct{ Instances []string }
	// RunHook runs a script of the environment's definition. That it begins is recorded before it does, and how it ended
	// afterwards (towpath.HookBegan, HookEnded): it is run at most once a deployment.
	RunHook struct{ Hook towpath.Hook }
	// LoseHook records that a hook was cut off, so that nobody knows what it has done (towpath.HookLost), and calls a person.
	LoseHook struct{ Hook towpath.Hook }
	// BeginWatch records what had been answered before the goal takes traffic (towpath.WatchBegan).
	BeginWatch struct{ Deployment string }
	// BeginStep records that the goal has the share of a canary's step (towpath.StepBegan).
	BeginStep struct {
		Deployment string
		Step       int
	}
	// Assign records beside which instance a single process may run (towpath.SingleAssigned).
	Assign struct {
		Process, Instance string
		Slot              string `json:",omitempty"`
	}
	// Condemn gives the goal up: it does not stand its watch, or what it needs was awaited in vain. It is never done, it fails,
	// with Reason and with what the instances said last.
	Condemn struct {
		Instances []string
		Reason    string
		Awaited   bool `json:",omitempty"`
	}
	// Conclude records that the goal is reached (towpath.GoalReached), with what was seen of it on the way.
	Conclude struct{ Deployment, Note string }
)

// The waits.
type (
	// AwaitPromotion waits for a person to let the traffic move (towpath.Promoted).
	AwaitPromotion struct{ Deployment string }
	// Hold waits while the goal has the share of a canary's step.
	Hold struct {
		Share int // of new requests, in percent
		Until time.Time
	}
	// Watch waits while the goal takes traffic and the old side stands ready.
	Watch struct{ Until time.Time }
	// StandBy keeps instances ready to take the traffic back.
	StandBy struct {
		Instances []string
		Until     time.Time
	}
	// Await waits for a clock, or, where Until is zero, for an observation that says more than this one.
	Await struct {
		Until time.Time
		Why   string
	}
)

// PerformerOf answers whose hands an operation needs.
func PerformerOf(o Operation) Performer {
	switch o.(type) {
	case Check, Place, Start, Probe, Stop, Remove, Inspect, StartSingle, StopSingle:
		return ByTarget
	case Shift, Drain, EndStreams, Shorten, Forget:
		return ByBalancer
	case Test, RunHook, LoseHook, BeginWatch, BeginStep, Assign, Condemn, Conclude:
		return ByKeeper
	default:
		return ByNobody
	}
}

// IsBarrier says that an operation moves traffic, lowers capacity, ends something or waits for a fact: it is performed
// only as the first operation of a plan that was made from fresh facts. So is Test, which needs observed addresses.
func IsBarrier(o Operation) bool {
	switch o.(type) {
	case Check, Place, Start, Probe, Drain:
		return false
	default:
		return true
	}
}

// InstancesOf answers the IDs of the instances that an operation names.
func InstancesOf(o Operation) []string {
	switch o := o.(type) {
	case Place:
		return o.Instances
	case Start:
		return o.Instances
	case Probe:
		return o.Instances
	case Stop:
		return o.Instances
	case Remove:
		return o.Instances
	case Drain:
		return o.Instances
	case EndStreams:
		return o.Instances
	case Forget:
		return o.Instances
	case Test:
		return o.Instances
	case Inspect:
		return o.Instances
	case Condemn:
		return o.Instances
	case StandBy:
		return o.Instances
	case StartSingle:
		return []string{o.Instance}
	case StopSingle:
		return []string{o.Instance}
	case Shift:
		return slices.Sorted(maps.Keys(o.Weights))
	default:
		return nil
	}
}

func (o Check) String() string {
	return fmt.Sprintf("check room for %d of release %d", o.Instances, o.Release)
}

func (o Place) String() string {
	return fmt.Sprintf("place %s of release %d", list(o.Instances), o.Release)
}
func (o Start) String() string       { return "start " + list(o.Instances) }
func (o Probe) String() string       { return "probe " + list(o.Instances) }
func (o Stop) String() string        { return "stop " + list(o.Instances) }
func (o Remove) String() string      { return "remove " + list(o.Instances) }
func (o Drain) String() string       { return "drain " + list(o.Instances) }
func (o EndStreams) String() string  { return "end streams of " + list(o.Instances) }
func (o Shorten) String() string     { return "shorten what clients keep to " + brief(o.TTL) }
func (o Forget) String() string      { return "forget " + list(o.Instances) }
func (o StartSingle) String() string { return "start " + o.Process + " beside " + o.Instance }
func (o StopSingle) String() string  { return "stop " + o.Process + " beside " + o.Instance }
func (o Assign) String() string      { return "record that " + o.Process + " belongs to " + o.Instance }
func (o Test) String() string        { return "test " + list(o.Instances) }
func (o Inspect) String() string     { return "inspect " + list(o.Instances) }
func (o RunHook) String() string     { return "hook " + string(o.Hook) }
func (o LoseHook) String() string {
	return "call a person: the hook " + string(o.Hook) + " was cut off"
}
func (BeginWatch) String() string  { return "begin to watch" }
func (o BeginStep) String() string { return fmt.Sprintf("record that step %d has begun", o.Step+1) }
func (o Hold) String() string      { return fmt.Sprintf("hold a share of %d%%", o.Share) }

func (o Condemn) String() string {
	if o.Awaited {
		return "wait"
	}
	return "watch"
}

func (Watch) String() string    { return "watch" }
func (Conclude) String() string { return "record that the goal is reached" }
func (AwaitPromotion) String() string {
	return "wait for a promotion"
}

func (o StandBy) String() string { return "keep " + list(o.Instances) + " ready" }

func (o Await) String() string { return "wait: " + o.Why }

func (o Shift) String() string {
	parts := make([]string, 0, len(o.Weights))
	for _, id := range slices.Sorted(maps.Keys(o.Weights)) {
		parts = append(parts, fmt.Sprintf("%s %d%%", id, o.Weights[id]))
	}
	return "shift to " + strings.Join(parts, ", ")
}

func (Check) operation()          {}
func (Place) operation()          {}
func (Start) operation()          {}
func (Probe) operation()          {}
func (Stop) operation()           {}
func (Remove) operation()         {}
func (Shift) operation()          {}
func (Drain) operation()          {}
func (EndStreams) operation()     {}
func (Shorten) operation()        {}
func (Forget) operation()         {}
func (Test) operation()           {}
func (Inspect) operation()        {}
func (StartSingle) operation()    {}
func (StopSingle) operation()     {}
func (Assign) operation()         {}
func (RunHook) operation()        {}
func (LoseHook) operation()       {}
func (BeginWatch) operation()     {}
func (BeginStep) operation()      {}
func (Hold) operation()           {}
func (Condemn) operation()        {}
func (Watch) operation()          {}
func (Conclude) operation()       {}
func (AwaitPromotion) operation() {}
func (StandBy) operation()        {}
func (Await) operation()          {}

func list(ids []string) string { return strings.Join(ids, ", ") }
