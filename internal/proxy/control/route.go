package control

import (
	"slices"
	"time"
)

// MaxWeight is the largest weight a backend can have; MaxBackends the most backends of one route.
const (
	MaxWeight   = 256
	MaxBackends = 256
)

// AnyHost is the host of a route that takes what no other route names.
const AnyHost = "*"

// VisitorCookie is the cookie by which visitors of a sticky route are known again.
const VisitorCookie = "towpath_visitor"

// Epoch says who orders: the number rises with every take-over, the holder tells two with one number apart.
// Number is at least 1 and Holder is never empty.
type Epoch struct {
	Number uint64 `json:"number"`
	Holder string `json:"holder"`
}

// Route is what the proxy serves under one name, an environment's key such as "shop/production".
type Route struct {
	Name string `json:"name"`
	// Hosts are exact host names without a port, or AnyHost. No two routes on one address share a host.
	Hosts []string `json:"hosts"`
	// Listen are addresses of this route's own ("127.0.0.1:8080"), opened when it is put and closed when no
	// route names them any more. Empty means every address the proxy was started with.
	Listen []string `json:"listen,omitempty"`
	// Sticky divides visitors instead of requests while several releases have a share: each is known again by VisitorCookie.
	// While the share of the highest release grows, visitors come to it, and none leaves it.
	Sticky bool `json:"sticky,omitempty"`
}

// Backend is one instance that can serve a route.
type Backend struct {
	ID      string `json:"id"`
	Address string `json:"address"` // host:port, spoken to by HTTP/1.1
	Release int    `json:"release"` // the fleet-wide number of the release it runs
	// Weight is its share of new requests, relative to the route's others; 0 to MaxWeight, 0 meaning none.
	Weight int `json:"weight"`
}

// InFlight counts what has begun and not ended. A stream is an upgraded connection or an event stream.
type InFlight struct {
	Requests int64 `json:"requests"`
	Streams  int64 `json:"streams"`
}

// Add returns the sum of both.
func (f InFlight) Add(other InFlight) InFlight {
	return InFlight{Requests: f.Requests + other.Requests, Streams: f.Streams + other.Streams}
}

// IsZero reports whether nothing is in flight.
func (f InFlight) IsZero() bool { return f == InFlight{} }

// BackendState is a backend with what it is doing and has done.
type BackendState struct {
	Backend
	InFlight InFlight `json:"inFlight"`
	Counters Counters `json:"counters"`
}

// ReleaseState sums over the backends of one release.
type ReleaseState struct {
	Release  int      `json:"release"`
	InFlight InFlight `json:"inFlight"`
	Counters Counters `json:"counters"`
}

// RouteState is a route with everything known of it.
type RouteState struct {
	Route
	Epoch    Epoch          `json:"epoch"` // the highest that was seen
	Backends []BackendState `json:"backends"`
	Past     []ReleaseState `json:"past,omitempty"` // of backends that are no longer listed
}

// Releases sums by release over all backends the route ever had while this proxy ran, the lowest first.
func (r RouteState) Releases() []ReleaseState {
	sums := slices.Clone(r.Past)
	for _, b := range r.Backends {
		sums = addRelease(sums, ReleaseState{b.Release, b.InFlight, b.Counters})
	}
	return sums
}

// Add returns the route with what another process serves of it. Backends that r does not list go to the past.
func (r RouteState) Add(other RouteState) RouteState {
	sum := r
	sum.Backends, sum.Past = slices.Clone(r.Backends), slices.Clone(r.Past)
	for _, b := range other.Backends {
		at := slices.IndexFunc(sum.Backends, b.isSame)
		if at < 0 {
			sum.Past = addRelease(sum.Past, ReleaseState{b.Release, b.InFlight, b.Counters})
			continue
		}
		sum.Backends[at].InFlight = sum.Backends[at].InFlight.Add(b.InFlight)
		sum.Backends[at].Counters = sum.Backends[at].Counters.Add(b.Counters)
	}
	for _, past := range other.Past {
		sum.Past = addRelease(sum.Past, past)
	}
	return sum
}

// Ended returns what stays of the route when its process has ended: nothing is in flight any more.
func (r RouteState) Ended() RouteState {
	ended := r
	ended.Backends, ended.Past = slices.Clone(r.Backends), slices.Clone(r.Past)
	for i := range ended.Backends {
		ended.Backends[i].InFlight = InFlight{}
	}
	for i := range ended.Past {
		ended.Past[i].InFlight = InFlight{}
	}
	return ended
}

func (b BackendState) isSame(other BackendState) bool {
	return b.ID == other.ID && b.Address == other.Address && b.Release == other.Release
}

func addRelease(sums []ReleaseState, one ReleaseState) []ReleaseState {
	at, found := slices.BinarySearchFunc(sums, one, func(a, b ReleaseState) int { return a.Release - b.Release })
	if !found {
		return slices.Insert(sums, at, one)
	}
	sums[at].InFlight = sums[at].InFlight.Add(one.InFlight)
	sums[at].Counters = sums[at].Counters.Add(one.Counters)
	return sums
}

// Backend returns the backend of that id, and whether there is one.
func (r RouteState) Backend(id string) (BackendState, bool) {
	for _, b := range r.Backends {
		if b.ID == id {
			return b, true
		}
	}
	return BackendState{}, false
}

// Listener is an address the proxy takes connections on.
type Listener struct {
	Asked   string `json:"asked"`   // as it was written, such as ":8080" or "127.0.0.1:0"
	Address string `json:"address"` // as it is bound
}

// State is all that a proxy can say of itself. In flight and counters include predecessors that are still
// finishing; counters begin at zero when a proxy starts without one, which Started tells.
type State struct {
	PID       int        `json:"pid"`
	Started   time.Time  `json:"started"`
	Listeners []Listener `json:"listeners"`
	// ControlAddress is where the control port is bound; empty without one.
	ControlAddress string       `json:"controlAddress,omitempty"`
	Predecessors   int          `json:"predecessors"` // earlier processes that still finish what they had begun
	Routes         []RouteState `json:"routes"`
}

// Route returns the route of that name, and whether there is one.
func (s State) Route(name string) (RouteState, bool) {
	for _, r := range s.Routes {
		if r.Name == name {
			return r, true
		}
	}
	return RouteState{}, false
}
