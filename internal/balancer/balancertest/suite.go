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
	// Streams says that it closes streams when it is told to.
	Streams bool
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
		t.Run(promise.name, func(t *testing.T) { promise.kept(newRig(t, k)) })
	}
}

// promise is one thing that every driver promises, or every driver of which isHeld.
type promise struct {
	name   string
	isHeld func(Kind) bool
	kept   func(*rig)
}

func promises() []promise {
	return []promise{
		{"it can what its kind can", nil, declaresWhatItCan},
		{"nothing is a member at first", nil, nothingIsAMember},
		{"a shift gives traffic to those that it names alone", nil, aShiftIsWhole},
		{"weights are shares of requests", hasWeights, weightsAreShares},
		{"what is not named has no share", nil, notNamedIsNoShare},
		{"what has no address is given no traffic", nil, noAddressNoTraffic},
		{"an instance may change its address", nil, addressMayChange},
		{"requests in flight are counted", hasSessions, requestsAreCounted},
		{"a drain waits until idle", hasSessions, drainAwaitsIdle},
		{"a drain is not longer than it may be, and cuts nothing", nil, drainIsBounded},
		{"what serves is neither drained nor forgotten", nil, whatServesStays},
		{"streams live until they are ended", Kind.endsStreams, streamsAreEnded},
		{"what is forgotten is no member", nil, forgottenIsGone},
		{"a place that was left is taken by another", nil, placesAreTakenAgain},
		{"another keeper sees the same", nil, anotherKeeperSeesTheSame},
		{"a weight that was set by hand is seen, and set right", hasWeights, byHandIsSeen},
		{"what each release answers is counted", Kind.counts, answersAreCounted},
		{"an order of a stale epoch is refused", hasFencing, staleIsRefused},
		{"an operation of a target is refused for good", nil, targetsOperationsAreRefused},
		{"a balancer that is away is told so", nil, awayIsTold},
		{"a restart keeps the table, or its loss is seen and mended", nil, restartIsMended},
		{"ten switches under load fail no request", nil, switchesFailNothing},
		{"a reload under load fails no request", nil, reloadFailsNothing},
	}
}

func hasWeights(k Kind) bool     { return k.Can.Weights > 1 }
func hasSessions(k Kind) bool    { return k.Can.Sessions }
func hasFencing(k Kind) bool     { return k.Can.Fencing }
func (k Kind) endsStreams() bool { return k.Streams }
func (k Kind) counts() bool      { return k.Counts }
