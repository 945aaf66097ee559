package deploy

import (
	"context"

	"github.com/towpath-cd/towpath"
)

// Driver is a target or a balancer of one environment, opened for one version of its definition. All drivers have this
// shape, and one package each: New(Options) with what the wiring hands in (definition, folder, logger, Files).
//
// A driver keeps no plan and no memory that matters: after a restart it observes again. Its calls may come from several
// goroutines, but only one Do runs at a time.
type Driver interface {
	// Observe answers what is. A target fills all of an instance but its traffic. A balancer fills ID, Traffic and Problem
	// of its members, and Address; the ID of one that it knows by its address alone is that address. Both fill Epoch, the highest they have seen. A value that could not be read is unknown;
	// an error means that nothing could be.
	Observe(ctx context.Context) (towpath.Observation, error)
	// Can answers what the driver is able to do, with this definition.
	Can() Capabilities
	// Do performs the order, and returns when it is done. It ends early when ctx does: what was begun may then be done,
	// half done or not, and the order can be given again. Its errors are Retryable, Permanent, UnknownOutcome or
	// StaleEpoch; any other counts as UnknownOutcome. An operation of the other axis is Permanent.
	Do(ctx context.Context, o Order) (Receipt, error)
	// Close ends the driver's connections and waits for its goroutines. What runs, runs on.
	Close() error
}

// Introduce tells a balancer that knows its members by their address alone who they are, as they were observed; others
// need not be told. It has to be told after every observation, so that what it counts is counted for the right release.
func Introduce(balancer Driver, instances []towpath.Instance) {
	if b, is := balancer.(interface{ Introduce([]towpath.Instance) }); is {
		b.Introduce(instances)
	}
}

// Order is an operation with all that a driver needs to perform it. It is data, and can be written down.
type Order struct {
	Epoch     towpath.Epoch // a driver that can refuse does, if it has seen a later one
	Operation Operation
	Release   towpath.Release    // that Check and Place are about, and Start's instances are of
	Instances []towpath.Instance // those that the operation names, as last observed: a balancer needs their addresses
}

// Receipt says what was done.
type Receipt struct {
	Detail string   // for people: "14 of 2,031 files changed"
	Log    []string // what instances said last, where that was asked for
}

// Files lays out the files of a release in an empty folder. The keeper has them at hand before it orders Place; a
// target's driver gets it at its wiring.
type Files func(ctx context.Context, r towpath.Release, folder string) error

// Capabilities is what a driver can do. Those of a target say Slots and Fencing, those of a balancer the others.
type Capabilities struct {
	Slots         int  // instances that can run beside each other; 0: as many as are asked for
	Weights       int  // steps between no traffic and a full share; 1: on or off, 0: traffic cannot be moved
	Sticky        bool // it keeps a visitor on the side that answered first
	Sessions      bool // it counts requests in flight and open streams
	Fencing       bool // it refuses an order of a stale epoch
	HoldsRequests bool // it can keep requests waiting while nothing serves
}

// With joins the capabilities of a target and a balancer: each adds what it has, and fencing takes both.
func (c Capabilities) With(balancer Capabilities) Capabilities {
	c.Weights, c.Sticky, c.Sessions, c.HoldsRequests = balancer.Weights, balancer.Sticky, balancer.Sessions, balancer.HoldsRequests
	c.Fencing = c.Fencing && balancer.Fencing
	return c
}
