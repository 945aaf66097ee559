package proxy

import (
	"net"
	"slices"
	"strconv"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// check tells what a record may not hold, wherever it came from.
func (r *record) check() error {
	if !r.IsRemoved {
		if err := checkRoute(r.Route); err != nil {
			return err
		}
	}
	return checkBackends(r.Backends)
}

func checkRoute(route control.Route) error {
	if route.Name == "" || len(route.Name) > 200 {
		return control.Refuse(control.CodeInvalid, `name it as its environment, such as "shop/production"`,
			"route name %q is empty or too long", route.Name)
	}
	if len(route.Hosts) == 0 {
		return control.Refuse(control.CodeInvalid, `name a host, or "*" for all`, "route %q has no host", route.Name)
	}
	for _, host := range route.Hosts {
		if err := checkHost(host); err != nil {
			return control.Refuse(control.CodeInvalid, `write it in lower case, without port, or "*" for all`,
				"route %q: host %q: %v", route.Name, host, err)
		}
	}
	for _, address := range route.Listen {
		if err := checkAddress(address); err != nil {
			return control.Refuse(control.CodeInvalid, `write it as host:port or :port`,
				"route %q: listen %q: %v", route.Name, address, err)
		}
	}
	return nil
}

func checkBackends(backends []control.Backend) error {
	if len(backends) > control.MaxBackends {
		return control.Refuse(control.CodeInvalid, "split the route", "%d backends are more than %d",
			len(backends), control.MaxBackends)
	}
	seen := make(map[string]bool)
	for _, b := range backends {
		if b.ID == "" || seen[b.ID] {
			return control.Refuse(control.CodeInvalid, "give each an id of its own", "backend id %q is empty or twice", b.ID)
		}
		seen[b.ID] = true
		if err := checkWeight(b.ID, b.Weight); err != nil {
			return err
		}
		host, _, err := net.SplitHostPort(b.Address)
		if err == nil {
			err = checkAddress(b.Address)
		}
		if err != nil || host == "" {
			return control.Refuse(control.CodeInvalid, "write it as host:port", "backend %q: bad address %q", b.ID, b.Address)
		}
	}
	return nil
}

func checkWeight(id string, weight int) error {
	if weight < 0 || weight > control.MaxWeight {
		return control.Refuse(control.CodeInvalid, "weights are relative to each other; 0 means no requests",
			"backend %q: weight %d is not between 0 and %d", id, weight, control.MaxWeight)
	}
	return nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// put sets hosts and addresses.
func (r *record) put(route control.Route) error {
	if err := checkRoute(route); err != nil {
		return err
	}
	r.Route = route
	r.IsRemoved = false
	return nil
}

// putBackends sets the listed backends; others stay without weight. isInUse tells whether one has requests
// in flight.
func (r *record) putBackends(listed []control.Backend, isInUse func(id string) bool) error {
	merged := slices.Clone(listed)
	for _, old := range r.Backends {
		at := slices.IndexFunc(listed, func(b control.Backend) bool { return b.ID == old.ID })
		if at < 0 {
			old.Weight = 0
			merged = append(merged, old)
			continue
		}
		isSame := listed[at].Address == old.Address && listed[at].Release == old.Release
		if !isSame && (old.Weight > 0 || isInUse(old.ID)) {
			return busy(r.Name, old.ID)
		}
	}
	if err := checkBackends(merged); err != nil {
		return err
	}
	r.Backends = merged
	return nil
}

func (r *record) setWeights(weights map[string]int) error {
	for id, weight := range weights {
		if !slices.ContainsFunc(r.Backends, func(b control.Backend) bool { return b.ID == id }) {
			return control.Refuse(control.CodeUnknownBackend, "put it first", "route %q has no backend %q", r.Name, id)
		}
		if err := checkWeight(id, weight); err != nil {
			return err
		}
	}
	for i := range r.Backends {
		r.Backends[i].Weight = weights[r.Backends[i].ID]
	}
	return nil
}

// remove forgets a backend that is not in use.
func (r *record) remove(id string, isInUse func(id string) bool) error {
	at := slices.IndexFunc(r.Backends, func(b control.Backend) bool { return b.ID == id })
	if at < 0 {
		return nil
	}
	if r.Backends[at].Weight > 0 || isInUse(id) {
		return busy(r.Name, id)
	}
	r.Backends = slices.Delete(r.Backends, at, at+1)
	return nil
}

// removeAll forgets the route, if none of its backends is in use.
func (r *record) removeAll(isInUse func(id string) bool) error {
	for _, b := range r.Backends {
		if b.Weight > 0 || isInUse(b.ID) {
			return busy(r.Name, b.ID)
		}
	}
	r.Route = control.Route{Name: r.Name}
	r.Backends = nil
	r.IsRemoved = true
	return nil
}

func busy(route, id string) error {
	return control.Refuse(control.CodeBusy, "set its weight to 0 and drain it first, or force it",
		"backend %q of route %q takes requests or has some in flight", id, route)
}
