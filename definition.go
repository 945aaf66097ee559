package towpath

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strconv"
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
	Processes []ProcessDefinition `json:",omitempty"` // beside the web process, in the order of the pipeline file
	Strategy  StrategyDefinition
	Balancer  BalancerDefinition
	Health    HealthDefinition
	Drain     DrainDefinition
	Watch     WatchDefinition `json:",omitzero"`
	Hooks     HooksDefinition `json:",omitzero"`
	Assets    string          `json:",omitempty"` // folder in a release whose files the others beside it have too; empty is none
	Drift     DriftPolicy     `json:",omitempty"`
	Windows   []Window        `json:",omitempty"` // when deployments may start; none is always
}

// Equal says whether both mean the same, wherever they stand in their files.
func (d EnvironmentDefinition) Equal(other EnvironmentDefinition) bool {
	d.Line, other.Line = 0, 0
	a, errA := json.Marshal(d)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// Grants lists the secrets that the environment needs: those of its instances and scripts, and Credentials.
func (d EnvironmentDefinition) Grants() []string {
	names := slices.Clone(d.Secrets)
	for _, name := range d.Credentials() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Credentials lists the secrets by which its drivers show who they are. Instances and scripts see none of these, unless
// Secrets has them too.
func (d EnvironmentDefinition) Credentials() []string {
	var names []string
	if proxy := d.Balancer.Proxy; proxy != nil && proxy.Key != "" {
		names = append(names, proxy.Key)
	}
	if d.Balancer.DNS != nil {
		names = append(names, d.Balancer.DNS.Key)
	}
	return names
}

// TargetDefinition says where releases run.
type TargetDefinition struct {
	Process *ProcessTarget `json:",omitempty"`
	Hosts   *HostsTarget   `json:",omitempty"`
}

// Slots answers the fixed slots of the target, host by host; none where it makes them as they are needed.
func (t TargetDefinition) Slots() []Slot {
	if t.Hosts == nil {
		return nil
	}
	var slots []Slot
	for _, host := range t.Hosts.Hosts {
		if len(t.Hosts.Slots) == 0 {
			slots = append(slots, Slot{Name: host.Name, Host: host.Name, Address: host.at(t.Hosts.Port)})
		}
		for _, s := range t.Hosts.Slots {
			slots = append(slots, Slot{Name: host.Name + "/" + s.Name, Host: host.Name, Address: host.at(s.Port)})
		}
	}
	return slots
}

// HostsTarget keeps releases on hosts that are reached by SSH, with nothing of ours installed there. Each host runs one
// instance, in its one slot or in one of several.
type HostsTarget struct {
	Hosts    []Host
	Path     string     // folder of the environment on every host; absolute
	Port     int        // where the application listens; 0 where Slots say
	Slots    []HostSlot `json:",omitempty"` // of each host, where it has several
	Requires []string   `json:",omitempty"` // scripts that have to pass on every host before anything is touched
	Prepare  string     `json:",omitempty"` // script in the staged folder, before it serves
	Restart  string     `json:",omitempty"` // script that has the application run from the folder that is current now
	Reload   string     `json:",omitempty"` // script that does so without a pause; instead of Restart
	Stop     string     `json:",omitempty"` // script that ends the application
	Keep     int        // good releases whose files stay, beside the live one and what stands by
	Shared   []string   `json:",omitempty"` // paths in a release that are the same in all of them
	Owner    string     `json:",omitempty"` // of a release's files, as chown takes it: "shop" or "shop:www-data"; empty is the login
}

// Host is a machine of a HostsTarget.
type Host struct {
	Name    string // as the pipeline file has it: what is dialled, and what people read
	User    string `json:",omitempty"` // login; empty is what the keeper's SSH configuration says
	SSHPort int    `json:",omitempty"` // 0 is what the keeper's SSH configuration says
}

func (h Host) at(port int) string { return net.JoinHostPort(h.Name, strconv.Itoa(port)) }

// HostSlot is one of several places for an instance on each host.
type HostSlot struct {
	Name string // "blue"
	Port int    // where an instance in it listens
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
	StrategyRolling   StrategyKind = "rolling"     // one batch after the other
	StrategyCanary    StrategyKind = "canary"      // a growing share of the traffic
)

// StrategyDefinition is a strategy with its settings.
type StrategyDefinition struct {
	Kind          StrategyKind
	Standby       time.Duration // how long the old side stays ready after the switch
	Test          string        // script that runs against the idle side before the switch; empty is none
	UntilPromoted bool          // a person says when the traffic moves
	Batch         int           `json:",omitempty"` // rolling: how many instances are replaced at once; at least 1
	Surge         int           `json:",omitempty"` // rolling: how many more than are wanted may run meanwhile
	Steps         []CanaryStep  `json:",omitempty"` // canary: its shares, growing; after the last one all traffic moves
	Sticky        bool          `json:",omitempty"` // canary: a visitor stays on the side that answered first
}

// CanaryStep is a share of the traffic that a new release holds for a while before it gets more.
type CanaryStep struct {
	Share         int           // of new requests, in percent: 1 to 99
	For           time.Duration // how long it is held; 0 where a person says
	UntilPromoted bool          // a person lets it go on
}

// BalancerDefinition says how traffic moves. Without one, instances are reached at their own address.
type BalancerDefinition struct {
	Proxy   *ProxyBalancer
	HAProxy *HAProxyBalancer `json:",omitempty"`
	Nginx   *NginxBalancer   `json:",omitempty"`
	Caddy   *CaddyBalancer   `json:",omitempty"`
	DNS     *DNSBalancer     `json:",omitempty"`
	Command *CommandBalancer `json:",omitempty"`
}

// ProxyBalancer is Towpath's own proxy, on the keeper's machine or on another one.
type ProxyBalancer struct {
	Host   string // of requests; exact, or "*" for every other
	Listen string // host:port the proxy listens on for it; empty is the proxy's own setting
	At     string `json:",omitempty"` // host:port where it takes orders; empty is the one on the keeper's machine
	Key    string `json:",omitempty"` // name of the secret that holds the key of the one At
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

	Queries []QueryDefinition `json:",omitempty"`
	Command string            `json:",omitempty"` // script that ends with 0 while the release is well, and with WatchNoData where it cannot say
	Probe   string            `json:",omitempty"` // path that the keeper asks all the while, so that there is something to judge
}

// WatchNoData is the status by which a watch's command says that it cannot say: EX_TEMPFAIL of sysexits.h.
const WatchNoData = 75

// QueryDefinition is a query to Prometheus whose every value has to keep its limits.
type QueryDefinition struct {
	Prometheus string   // base address, such as http://prometheus:9090
	Expr       string   // PromQL, with {{release}}, {{live}} and {{environment}}
	AtMost     *float64 `json:",omitempty"`
	AtLeast    *float64 `json:",omitempty"`
}
