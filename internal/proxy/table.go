package proxy

import (
	"sync/atomic"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// table says where requests go. It is never changed once it is published, only replaced.
type table struct {
	hosts  map[string]hosts // by an address that routes have for themselves
	common hosts            // for every other address
	routes map[string]*routeTable
}

type hosts map[string]*routeTable

// routeTable is a route at one moment.
type routeTable struct {
	pool
	name     string
	backends map[string]*backend
	sides    []*side // of a sticky route in which more than one release has a share
}

// pool is backends that take turns.
type pool struct {
	// turns is every backend as often as its weight says, well mixed; nobody's turn when it is empty.
	turns []*backend
	next  atomic.Uint64
}

// find returns the route for a Host header on an address, nil when there is none.
func (t *table) find(address, header string) *routeTable {
	hosts, isOwn := t.hosts[address]
	if !isOwn {
		hosts = t.common
	}
	if route, found := hosts[hostOf(header)]; found {
		return route
	}
	return hosts[control.AnyHost]
}

// pick returns whose turn it is, nil when no backend has weight.
func (p *pool) pick() *backend {
	if len(p.turns) == 0 {
		return nil
	}
	return p.turns[p.next.Add(1)%uint64(len(p.turns))]
}

func (t *table) add(route control.Route, made *routeTable) {
	t.routes[route.Name] = made
	if len(route.Listen) == 0 {
		t.common.add(route.Hosts, made)
	}
	for _, address := range route.Listen {
		if t.hosts[address] == nil {
			t.hosts[address] = make(hosts)
		}
		t.hosts[address].add(route.Hosts, made)
	}
}

func (h hosts) add(names []string, route *routeTable) {
	for _, name := range names {
		h[name] = route
	}
}

// turnsOf spreads backends by smooth weighted round robin, as nginx does it: each step every backend gains
// its weight, the richest has the turn and pays the sum of all.
func turnsOf(backends []*backend) []*backend {
	weights, total := reducedWeights(backends)
	turns := make([]*backend, 0, total)
	credit := make([]int64, len(backends))
	for range total {
		richest := 0
		for i, weight := range weights {
			credit[i] += weight
			if credit[i] > credit[richest] {
				richest = i
			}
		}
		credit[richest] -= total
		turns = append(turns, backends[richest])
	}
	return turns
}

// reducedWeights divides the weights by what they have in common, so that the turns are few.
func reducedWeights(backends []*backend) (weights []int64, total int64) {
	var divisor int64
	for _, b := range backends {
		divisor = greatestCommonDivisor(b.weight.Load(), divisor)
	}
	for _, b := range backends {
		weight := b.weight.Load() / max(1, divisor)
		weights = append(weights, weight)
		total += weight
	}
	return weights, total
}

func greatestCommonDivisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// backend returns the one that can go on as what is listed, nil when there is none.
func (r *routeTable) backend(listed control.Backend) *backend {
	if r == nil {
		return nil
	}
	if b := r.backends[listed.ID]; b != nil && b.isStill(listed) {
		return b
	}
	return nil
}
