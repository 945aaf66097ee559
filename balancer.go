package towpath

import "time"

// HAProxyBalancer is a backend of HAProxy, of which every server is ours. Several of them take the same traffic.
type HAProxyBalancer struct {
	Sockets []string // of each HAProxy, where it takes orders: a path, "unix:///path" or "tcp://host:port"
	Backend string   // its name there
}

// NginxBalancer is an upstream of nginx, in a file that is ours. Several of them take the same traffic.
type NginxBalancer struct {
	Hosts    []Host   `json:",omitempty"` // where each nginx runs; none is the keeper's own machine
	Upstream string   // its name
	File     string   // that has it, which the configuration includes
	Lines    []string `json:",omitempty"` // further directives of the upstream, without their semicolons
	Options  string   `json:",omitempty"` // parameters of every server
	Test     string   // script by which nginx tests its configuration
	Reload   string   // script by which it takes it
	PID      string   // file with the number of its master process
	Log      string   // file that it tells its errors
}

// CaddyBalancer is a reverse proxy in a Caddy's configuration, whose upstreams are ours.
type CaddyBalancer struct {
	Admin string // where it takes orders: "http://host:port" or "unix:///path"
	ID    string // the "@id" of the reverse_proxy handler
}

// DNSBalancer is a name, whose addresses are ours.
type DNSBalancer struct {
	Server string        // primary of the zone: host, or host:port
	Zone   string        // "example.com"
	Name   string        // in the zone: "shop.example.com"
	TTL    time.Duration // of its records
	Key    string        // secret with the key that updates are signed by
}

// CommandBalancer is a balancer that scripts of its owner speak to, on the keeper's machine.
type CommandBalancer struct {
	Observe  string // prints who the members are
	Shift    string // gives them their shares
	Drain    string `json:",omitempty"` // waits until nothing is in flight; empty where that is counted, or waited for by the clock
	Weights  bool   `json:",omitempty"` // they know shares between none and all
	Sessions bool   `json:",omitempty"` // Observe counts what is in flight
	Fencing  bool   `json:",omitempty"` // Shift refuses an epoch that another has followed
}

// BalancerKind is a way to move traffic.
type BalancerKind string

// The kinds of balancers.
const (
	BalancerNone    BalancerKind = "none"
	BalancerProxy   BalancerKind = "proxy"
	BalancerHAProxy BalancerKind = "haproxy"
	BalancerNginx   BalancerKind = "nginx"
	BalancerCaddy   BalancerKind = "caddy"
	BalancerDNS     BalancerKind = "dns"
	BalancerCommand BalancerKind = "command"
)

// Kind answers how the definition moves traffic.
func (b BalancerDefinition) Kind() BalancerKind {
	switch {
	case b.Proxy != nil:
		return BalancerProxy
	case b.HAProxy != nil:
		return BalancerHAProxy
	case b.Nginx != nil:
		return BalancerNginx
	case b.Caddy != nil:
		return BalancerCaddy
	case b.DNS != nil:
		return BalancerDNS
	case b.Command != nil:
		return BalancerCommand
	}
	return BalancerNone
}

// Caching answers what clients ask for to learn where the environment answers, and for how long they keep that; an empty name
// where they keep nothing.
func (b BalancerDefinition) Caching() (name string, ttl time.Duration) {
	if b.DNS == nil {
		return "", 0
	}
	return b.DNS.Name, b.DNS.TTL
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
		return BalancerAbilities{Moves: true, Weights: true, Sticky: true, Sessions: true, Streams: true, Errors: true, Latency: true, Fencing: true}
	case BalancerHAProxy:
		return BalancerAbilities{Moves: true, Weights: true, Sessions: true, Errors: true}
	case BalancerNginx:
		return BalancerAbilities{Moves: true, Weights: true, Fencing: true}
	case BalancerCaddy:
		return BalancerAbilities{Moves: true, Sessions: true, Fencing: true}
	case BalancerDNS:
		return BalancerAbilities{Moves: true, Fencing: true}
	case BalancerCommand:
		return BalancerAbilities{Moves: true, Weights: b.Command.Weights, Sessions: b.Command.Sessions, Fencing: b.Command.Fencing}
	}
	return BalancerAbilities{}
}
