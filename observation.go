package towpath

import (
	"fmt"
	"time"
)

// Observation is what the drivers see of an environment at one moment. A field whose Known is false could not be
// read: the planner takes the worst case.
type Observation struct {
	Epoch     Epoch // highest seen by any target or balancer
	Instances []Instance
	Slots     []Slot    `json:",omitempty"` // of a target whose slots are fixed, in the order of its definition
	Singles   []Single  `json:",omitempty"` // processes of which at most one may run, wherever one does or may
	Address   string    // where the balancer answers requests for the environment; empty where it has none
	Served    []Served  `json:",omitempty"` // by release, where the balancer counts
	Findings  []Finding `json:",omitempty"` // of what looks after a release that is watched, beside its balancer
	Blind     bool      // the balancer could not be read: it may give traffic to instances that are not listed
	Misrouted bool      // the balancer takes requests for another host, or on another address, than the definition says
	Cached    *Cached   `json:",omitempty"` // what clients keep of where it answers; nil where they keep nothing, or it was not seen
	Renewed   bool      `json:",omitempty"` // the balancer began anew since its keeper's last order: its shares are nobody's choice
	At        time.Time
}

// Cached is for how long clients keep where an environment answers, without asking again: as with a name in DNS. Nobody can
// tell them when it changes.
type Cached struct {
	TTL   time.Duration // of what they are told now
	Until time.Time     // until when some may keep what lived longer than the definition says; zero or past where nobody does
}

// InstanceState is what a target says of an instance.
type InstanceState string

// The states of an instance.
const (
	InstancePlaced  InstanceState = "placed"  // its files are there; it has not been started
	InstanceRunning InstanceState = "running" // its process runs
	InstanceFailing InstanceState = "failing" // it ended and is being started again
	InstanceStopped InstanceState = "stopped" // it was stopped; its files are still there
	InstanceGone    InstanceState = "gone"    // the target has nothing of it; only the balancer still knows it
	InstanceUnknown InstanceState = "unknown" // the target could not say
)

// InstanceStates lists every state.
var InstanceStates = []InstanceState{
	InstancePlaced, InstanceRunning, InstanceFailing, InstanceStopped, InstanceGone, InstanceUnknown,
}

// Health is what the probe says of an instance.
type Health string

// The values of Health.
const (
	HealthUnknown Health = "unknown" // not probed yet, or the probe could not run
	HealthPassing Health = "passing" // passed often enough in a row
	HealthFailing Health = "failing"
)

// Instance is one running copy of a release, in a slot of the target.
type Instance struct {
	ID      string // unique in the environment, for ever (InstanceID)
	Release int
	State   InstanceState
	Slot    string `json:",omitempty"` // name of the slot that it has or will have; empty where the target makes slots
	Address string // host:port
	Health  Health
	Problem string    // the probe's last answer, or why it is failing
	Traffic Traffic   // zero value where there is no balancer, with Known set
	Since   time.Time // since when it has been in its State
	InUse   string    `json:",omitempty"` // why its files have to stay: a command runs in them; empty usually
	Silent  bool      `json:",omitempty"` // its probe was tried beside a host that does not answer, and nothing answered it either

	Processes []Process `json:",omitempty"` // those beside its web process, which State and Address are about
}

// Slot is a fixed place of a target for one running instance: a host, or one of several ports of it. Files of other
// instances can stand beside the one that runs there, ready to be started in its place.
type Slot struct {
	Name    string // unique in the environment: "web1", or "web1/blue" where a host has several
	Host    string // "web1"
	Address string // host:port, where an instance in it answers
	Problem string `json:",omitempty"` // why nothing can be done in it now: its host does not answer; empty where it can

	Since time.Time `json:",omitzero"` // since when it has had its Problem; zero where it will not end by itself, or nobody knows
}

// InstanceID names an instance: "r42-7". Serials rise in an environment, so that no instance has the name of an earlier
// one, also of the same release.
func InstanceID(release, serial int) string { return fmt.Sprintf("r%d-%d", release, serial) }

// ParseInstanceID answers what InstanceID was made from; zeros for an ID that it did not make.
func ParseInstanceID(id string) (release, serial int) {
	if _, err := fmt.Sscanf(id, "r%d-%d", &release, &serial); err != nil || InstanceID(release, serial) != id {
		return 0, 0
	}
	return release, serial
}

// LastInstance answers the highest serial among the instances.
func (o Observation) LastInstance() int {
	last := 0
	for _, i := range o.Instances {
		_, serial := ParseInstanceID(i.ID)
		last = max(last, serial)
	}
	return last
}

// Traffic is the balancer's view of one instance.
type Traffic struct {
	Known    bool
	Member   bool // the balancer has it in its table
	Weight   int  // share of new requests, in the driver's own steps; 0 is none
	ByHand   bool `json:",omitempty"` // its share is not what its keeper gave it last
	Requests int  // in flight
	Streams  int  // upgraded connections and event streams that are open

	Uncounted bool `json:",omitempty"` // more may be in flight than is counted: a balancer that cannot count, or not all of it

	Checked Health `json:",omitempty"` // what the balancer's own checks say of it; empty where it has none, or checks it not now
}

// IsIdle says that nothing would be lost if the instance stopped now.
func (t Traffic) IsIdle() bool {
	return t.Known && t.Weight == 0 && t.Requests == 0 && t.Streams == 0 && !t.Uncounted
}

// Finding is what a query or a command says of a release that is watched.
type Finding struct {
	Source string // "the query 1", "the command"
	State  FindingState
	InRow  int    // how often in a row it was bad
	Text   string // for people
}

// FindingState is the outcome of a look.
type FindingState string

// The outcomes of a look.
const (
	FindingNone FindingState = "no data"
	FindingGood FindingState = "good"
	FindingBad  FindingState = "bad"
)

// Reach answers host:port at which a release is reached: the balancer's, or where there is none that of an instance of
// it that passes its probe. It is empty where nobody answers.
func (o Observation) Reach(release int) string {
	if o.Address != "" {
		return o.Address
	}
	for _, i := range o.Instances {
		if i.Release == release && i.State == InstanceRunning && i.Health == HealthPassing {
			return i.Address
		}
	}
	return ""
}
