package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// answerLimit is how long an observation waits for the proxy.
const answerLimit = 2 * time.Second

// Options are what a driver is opened with. All but Credentials are needed.
type Options struct {
	Environment string // key: "pipeline/name", the name of the proxy's route
	Definition  towpath.EnvironmentDefinition
	Credentials map[string]string // with the key of a proxy on another machine; nil where it is on this one
	DataDir     string            // of the proxy on this machine
}

// Driver is the balancer of one environment.
type Driver struct {
	route  control.Route
	at     string          // host:port of a proxy on another machine; empty is the one on this
	eye    *control.Client // looks, and does not wait for a proxy that is not there
	hand   *control.Client // orders, and waits out a restart
	routed atomic.Bool     // the proxy was seen to have the route as it is defined
	sticky atomic.Bool     // and to keep visitors on their side
}

// New opens the balancer; nothing is dialled yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.Proxy
	if definition == nil {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no proxy", options.Environment)
	}
	route := control.Route{Name: options.Environment, Hosts: []string{definition.Host}}
	if definition.Host == "" {
		route.Hosts = []string{control.AnyHost}
	}
	if definition.Listen != "" {
		route.Listen = []string{definition.Listen}
	}
	where, err := whereIs(*definition, options)
	if err != nil {
		return nil, fmt.Errorf("open the balancer of %s: %w", options.Environment, err)
	}
	glance := where
	glance.Patience = -1
	return &Driver{route: route, at: definition.At, eye: control.New(glance), hand: control.New(where)}, nil
}

// whereIs says how the proxy is reached.
func whereIs(d towpath.ProxyBalancer, o Options) (control.Options, error) {
	if d.At == "" {
		return control.Options{DataDir: o.DataDir}, nil
	}
	key, err := control.ParseKey(o.Credentials[d.Key])
	if err != nil {
		return control.Options{}, fmt.Errorf("secret %s: %w", d.Key, err)
	}
	return control.Options{Address: d.At, Key: key}, nil
}

// Close ends the connections to the proxy.
func (d *Driver) Close() error {
	d.eye.Close()
	d.hand.Close()
	return nil
}

// Can answers what the proxy is able to do.
func (d *Driver) Can() deploy.Capabilities {
	return deploy.Capabilities{Weights: deploy.FullWeight, Sticky: true, Sessions: true, Fencing: true}
}

// Observe answers the members of the route. A proxy that does not know the route yet has none.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	seen := towpath.Observation{At: time.Now()}
	state, err := d.eye.State(ctx)
	if err != nil {
		return seen, d.explain(err)
	}
	seen.Address = d.address(state)
	route, is := state.Route(d.route.Name)
	isRouted := slices.Equal(route.Hosts, d.route.Hosts) && slices.Equal(route.Listen, d.route.Listen)
	d.routed.Store(is && isRouted)
	d.sticky.Store(route.Sticky)
	if !is {
		return seen, nil
	}
	seen.Misrouted = !isRouted
	seen.Epoch, seen.Served = towpath.Epoch(route.Epoch), served(route)
	for _, b := range route.Backends {
		seen.Instances = append(seen.Instances, towpath.Instance{
			ID: b.ID, Release: b.Release, Address: b.Address,
			Traffic: towpath.Traffic{
				Known: true, Member: true, Weight: b.Weight,
				Requests: int(b.InFlight.Requests), Streams: int(b.InFlight.Streams),
			},
		})
	}
	return seen, nil
}

// served is what the proxy has counted, by release. A client that left is nobody's error; one that the proxy itself cut
// off was not failed by the release.
func served(route control.RouteState) (counts []towpath.Served) {
	for _, r := range route.Releases() {
		c := r.Counters
		s := towpath.Served{Release: r.Release, Requests: c.Requests, Errors: c.ByClass[5] + c.Errors.CutBody}
		for _, bucket := range c.Latency {
			s.Latency = append(s.Latency, towpath.Latency{UpTo: bucket.UpTo, Count: bucket.Count})
		}
		counts = append(counts, s)
	}
	return counts
}

// address is where the proxy answers for the route: on the route's own address, else on the proxy's first.
func (d *Driver) address(state control.State) string {
	for _, l := range state.Listeners {
		if len(d.route.Listen) == 0 || slices.Contains(d.route.Listen, l.Asked) {
			return d.seenFromHere(l.Address)
		}
	}
	return ""
}

// seenFromHere names the machine of a proxy that listens on all of its addresses.
func (d *Driver) seenFromHere(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || d.at == "" || ip == nil || !ip.IsUnspecified() {
		return address
	}
	machine, _, _ := net.SplitHostPort(d.at) // it was dialled
	return net.JoinHostPort(machine, port)
}

// Do performs an operation of a balancer.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	epoch := control.Epoch(o.Epoch)
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		return deploy.Receipt{}, d.shift(ctx, epoch, operation, o.Instances)
	case deploy.Drain:
		return d.drain(ctx, epoch, operation)
	case deploy.EndStreams:
		return d.endStreams(ctx, epoch, operation)
	case deploy.Forget:
		return deploy.Receipt{}, d.forget(ctx, epoch, operation)
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
}

// shift sets all weights in one change of the proxy's table.
func (d *Driver) shift(ctx context.Context, epoch control.Epoch, o deploy.Shift, instances []towpath.Instance) error {
	if !d.routed.Load() || d.sticky.Load() != o.Sticky {
		route := d.route
		route.Sticky = o.Sticky
		if _, err := d.hand.PutRoute(ctx, epoch, route); err != nil {
			return d.explain(err)
		}
		d.routed.Store(true)
		d.sticky.Store(o.Sticky)
	}
	var backends []control.Backend
	for id, weight := range o.Weights {
		i := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id })
		if i < 0 || instances[i].Address == "" {
			return &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
		backends = append(backends, control.Backend{
			ID: id, Address: instances[i].Address, Release: instances[i].Release, Weight: weight,
		})
	}
	_, err := d.hand.PutBackends(ctx, epoch, d.route.Name, backends)
	if errors.Is(err, control.ErrUnknownRoute) {
		d.routed.Store(false)
	}
	return d.explain(err)
}

// explain gives an error of the proxy its kind.
func (d *Driver) explain(err error) error {
	var refused *control.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return explainRefusal(err, refused)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &deploy.UnknownOutcome{Err: err}
	case errors.Is(err, control.ErrOtherProxy):
		return &deploy.Permanent{Err: fmt.Errorf("who answers at %s is not the proxy of the key "+
			"(`towpath proxy key` prints it on the proxy's machine): %w", d.at, err)}
	case isUnreached(err) && d.at != "":
		return &deploy.Retryable{Err: fmt.Errorf("no proxy answers at %s (`towpath proxy --control` must run there): %w", d.at, err)}
	case isUnreached(err):
		return &deploy.Retryable{Err: fmt.Errorf("no proxy answers on this machine (`towpath proxy` must run here): %w", err)}
	}
	return &deploy.UnknownOutcome{Err: err}
}

func explainRefusal(err error, refused *control.Error) error {
	if refused.Hint != "" {
		err = fmt.Errorf("%w (%s)", err, refused.Hint)
	}
	switch refused.Code {
	case control.CodeStaleEpoch:
		stale := &deploy.StaleEpoch{}
		if refused.Current != nil {
			stale.Seen = towpath.Epoch(*refused.Current)
		}
		return stale
	case control.CodeInvalid, control.CodeUnauthorized, control.CodeConflict:
		return &deploy.Permanent{Err: err}
	case control.CodeInternal:
		return &deploy.UnknownOutcome{Err: err}
	}
	return &deploy.Retryable{Err: err}
}
