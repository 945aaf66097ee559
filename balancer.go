package towpath

import "time"

// HAProxyBalancer is a backend of HAProxy, of which every server is ours. Several of them take the same traffic.
type HAProxyBalancer struct {
	Sockets []string // of each HAProxy, where it takes orders: a path, "unix:///path" or "tcp://host:port"
	Backend string   // its name there
}

// CommandBalancer is a balancer that scripts of the user's speak to.
type CommandBalancer struct {
	Observe  string        // script that answers what is
	Shift    string        // script that sets weights
	Drain    string        `json:",omitempty"` // script that waits; empty where observing says what is in flight
	Forget   string        `json:",omitempty"` // script that takes members out; empty where Shift leaves out who has no share
	Timeout  time.Duration // of each; Drain has the time that it waits besides
	Weights  bool          // it knows shares between none and all
	Sessions bool          // Observe counts what is in flight
}

// BalancerKind is a way to move traffic.
type BalancerKind string

// The kinds of balancers.
const (
	BalancerNone    BalancerKind = "none"
	BalancerProxy   BalancerKind = "proxy"
	BalancerHAProxy BalancerKind = "haproxy"
	BalancerCommand BalancerKind = "command"
)

// Kind answers how the definition moves traffic.
func (b BalancerDefinition) Kind() BalancerKind {
	switch {
	case b.Proxy != nil:
		return BalancerProxy
	case b.HAProxy != nil:
		return BalancerHAProxy
	case b.Command != nil:
		return BalancerCommand
	}
	return BalancerNone
}

// BalancerAbilities is what a balancer can do.
type BalancerAbilities struct {
	Moves    bool // it gives traffic to some instances and not to others
	Weights  bool // it knows shares between none and all
	Sticky   bool // it keeps a visitor on the side that answered first
	Sessions bool // it counts what is in flight, so that idle is awaited and not assumed
	Streams  bool // it tells streams from requests, and each from its own clock on
	Errors   bool // it counts what each release answered, and how much of it failed
	Latency  bool // it knows how long answers took
	Fencing  bool // it refuses the orders of a keeper that another has followed
}

// Can answers what the balancer of the definition is able to do.
func (b BalancerDefinition) Can() BalancerAbilities {
	switch b.Kind() {
	case BalancerProxy:
		return BalancerAbilities{Moves: true, Weights: true, Sessions: true, Streams: true, Errors: true, Latency: true, Fencing: true}
	case BalancerHAProxy:
		return BalancerAbilities{Moves: true, Weights: true, Sessions: true, Errors: true}
	case BalancerCommand:
		return BalancerAbilities{Moves: true, Weights: b.Command.Weights, Sessions: b.Command.Sessions}
	}
	return BalancerAbilities{}
}
