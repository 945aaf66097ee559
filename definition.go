package towpath

import (
	"bytes"
	"encoding/json"
	"time"
)

// EnvironmentDefinition is an environment as the pipeline file has it, with every default filled in. Exactly one field
// of Target, and at most one of Balancer, is set.
type EnvironmentDefinition struct {
	Name      string
	Line      int    // in the pipeline file, for messages; no part of the definition's identity
	URL       string // where people find it; empty is the address that its keeper reports
	Platform  string // os/arch; empty is the keeper's
	Worker    Selector
	Branches  []string          `json:",omitempty"` // globs of branches that may deploy here; empty is every branch the server allows
	Env       map[string]string `json:",omitempty"`
	Secrets   []string          `json:",omitempty"`
	Instances int               // wanted
	Minimum   int               // instances that take traffic at any moment
	Target    TargetDefinition
	Strategy  StrategyDefinition
	Balancer  BalancerDefinition
	Health    HealthDefinition
	Drain     DrainDefinition
	Watch     WatchDefinition `json:",omitzero"`
	Hooks     HooksDefinition `json:",omitzero"`
	Drift     DriftPolicy     `json:",omitempty"`
}

// Equal says whether both mean the same, wherever they stand in their files.
func (d EnvironmentDefinition) Equal(other EnvironmentDefinition) bool {
	d.Line, other.Line = 0, 0
	a, errA := json.Marshal(d)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// TargetDefinition says where releases run.
type TargetDefinition struct {
	Process *ProcessTarget
}

// ProcessTarget runs each instance as a supervised process on the keeper's machine.
type ProcessTarget struct {
	Command string // run by sh -c in the release's folder
	Port    int    // 0: a free one is chosen and passed as PORT
	Stop    StopDefinition
}

// StopDefinition says how a process is asked to end, and when it is made to.
type StopDefinition struct {
	Signal string        // "TERM", "INT", "QUIT", …
	Within time.Duration // then it is killed
}

// StrategyKind is the order and pace of a deployment.
type StrategyKind string

// The strategies.
const (
	StrategyAllAtOnce StrategyKind = "all-at-once" // stop the old, start the new; there is downtime
	StrategyBlueGreen StrategyKind = "blue-green"  // start the new beside the old, move the traffic, keep the old for a while
)

// StrategyDefinition is a strategy with its settings.
type StrategyDefinition struct {
	Kind          StrategyKind
	Standby       time.Duration // how long the old side stays ready after the switch
	Test          string        // script that runs against the idle side before the switch; empty is none
	UntilPromoted bool          // a person says when the traffic moves
}

// BalancerDefinition says how traffic moves. Without one, instances are reached at their own address.
type BalancerDefinition struct {
	Proxy *ProxyBalancer
}

// ProxyBalancer is Towpath's own proxy on the keeper's machine.
type ProxyBalancer struct {
	Host   string // of requests; exact, or "*" for every other
	Listen string // host:port the proxy listens on for it; empty is the proxy's own setting
}

// HealthDefinition is the probe that an instance has to pass before it takes traffic.
type HealthDefinition struct {
	HTTP     string        // path that answers 2xx or 3xx
	TCP      bool          // the port accepts
	Command  string        // script that ends with 0
	Within   time.Duration // then the instance counts as failed
	Interval time.Duration
	Timeout  time.Duration // of one try
	Rises    int           // passes in a row
	Release  string        // path that answers the number of the release that runs; empty is none
}

// DrainDefinition is how long what is in flight may take to end once an instance gets no new traffic.
type DrainDefinition struct {
	Requests time.Duration
	Streams  time.Duration // upgraded connections and event streams; then they are closed
}

// DriftPolicy says what becomes of shares of traffic that somebody changed by hand. What is dead is always mended.
type DriftPolicy string

// The policies.
const (
	DriftReport DriftPolicy = ""     // it is told, and left so until a person deploys, or nothing would serve
	DriftMend   DriftPolicy = "mend" // it is set right
)

// WatchDefinition is what a new release has to stand once it takes the traffic. The zero value watches nothing.
type WatchDefinition struct {
	For     time.Duration // how long; 0 is not at all
	Errors  float64       // greatest share of requests that may fail, from 0 to 1
	P99     time.Duration // how long 99 of 100 requests may take at most; 0 is not judged
	Minimum int           // fewer requests than this say nothing
}
