// Package balancertest holds every driver of a balancer to the same promises, with a real balancer, real backends and
// requests that pass through both.
package balancertest

import (
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// Kind is what the suite has to know of a kind of balancer.
type Kind struct {
	// New starts a balancer that has no members yet, and leaves its clean-up to t.
	New func(t *testing.T) Balancer
	// Can is what its drivers declare.
	Can deploy.Capabilities
	// Keeps says that a restart costs the balancer nothing of what it was told.
	Keeps bool
	// Counts says that it counts what each release has answered.
	Counts bool
	// Awaits says that it awaits idle, whether it counts what is in flight or not.
	Awaits bool
	// Streams says that it closes streams when it is told to.
	Streams bool
	// IsSlow says that each change takes long, so that a short test is about the main promises alone.
	IsSlow bool
	// CutsIdle says that each change closes connections that wait for a client's next request, so that one may be lost.
	CutsIdle bool
}

// Balancer is a real one.
type Balancer interface {
	// Address is where it takes requests, also after a restart.
	Address() string
	// Open makes a driver, as a keeper that starts does. Closing it is the caller's.
	Open(t *testing.T) deploy.Driver
	// Stop ends the balancer at once.
	Stop(t *testing.T)
	// Start starts it again.
	Start(t *testing.T)
	// WeighByHand sets an instance's weight as a person would.
	WeighByHand(t *testing.T, i towpath.Instance, weight int)
}

// Reloader is a Balancer that hands its sockets and its table to a successor.
type Reloader interface {
	// Reload returns when the successor serves.
	Reload(t *testing.T)
}

// Run runs the suite.
func (k Kind) Run(t *testing.T) {
	for _, promise := range promises() {
		if promise.isHeld != nil && !promise.isHeld(k) {
			continue
		}
		if k.IsSlow && testing.Short() && !promise.isMain {
			continue
		}
		t.Run(promise.name, func(t *testing.T) { promise.kept(newRig(t, k)) })
	}
}

// promise is one thing that every driver promises, or every driver of which isHeld.
type promise struct {
	name   string
	isHeld func(Kind) bool
	kept   func(*rig)
	isMain bool
}

func promises() []promise {
	return []promise{
		{"it can what its kind can", nil, declaresWhatItCan, false},
		{"nothing is a member at first", nil, nothingIsAMember, false},
		{"a shift gives traffic to those that it names alone", nil, aShiftIsWhole, true},
		{"weights are shares of requests", hasWeights, weightsAreShares, false},
		{"what is not named has no share", nil, notNamedIsNoShare, false},
		{"what has no address is given no traffic", nil, noAddressNoTraffic, false},
		{"an instance may change its address", nil, addressMayChange, false},
		{"requests in flight are counted", hasSessions, requestsAreCounted, false},
		{"a drain waits until idle", awaitsIdle, drainAwaitsIdle, true},
		{"a drain is not longer than it may be, and cuts nothing", nil, drainIsBounded, false},
		{"what serves is neither drained nor forgotten", nil, whatServesStays, false},
		{"streams live until they are ended", Kind.endsStreams, streamsAreEnded, false},
		{"what is forgotten is no member", nil, forgottenIsGone, false},
		{"a place that was left is taken by another", nil, placesAreTakenAgain, false},
		{"another keeper sees the same", nil, anotherKeeperSeesTheSame, false},
		{"a weight that was set by hand is seen, and set right", hasWeights, byHandIsSeen, false},
		{"what each release answers is counted", Kind.counts, answersAreCounted, false},
		{"an order of a stale epoch is refused", hasFencing, staleIsRefused, true},
		{"an operation of a target is refused for good", nil, targetsOperationsAreRefused, false},
		{"a balancer that is away is told so", nil, awayIsTold, true},
		{"a restart keeps the table, or its loss is seen and mended", nil, restartIsMended, false},
		{"ten switches under load fail no request", nil, switchesFailNothing, false},
		{"a reload under load fails no request", nil, reloadFailsNothing, false},
	}
}

func hasWeights(k Kind) bool     { return k.Can.Weights > 1 }
func hasSessions(k Kind) bool    { return k.Can.Sessions }
func awaitsIdle(k Kind) bool     { return k.Can.Sessions || k.Awaits }
func hasFencing(k Kind) bool     { return k.Can.Fencing }
func (k Kind) endsStreams() bool { return k.Streams }
func (k Kind) counts() bool      { return k.Counts }
