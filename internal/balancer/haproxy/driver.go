package haproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// Options are what a driver is opened with. All are needed.
type Options struct {
	Environment string // key, for messages
	Definition  towpath.EnvironmentDefinition
}

// Driver is the balancer of one environment: the same backend of one HAProxy or of several.
type Driver struct {
	backend string
	clocks  towpath.DrainDefinition
	sides   []*side
	names   *names
	ledger  *ledger
}

// side is one of the HAProxies.
type side struct {
	socket
	number int

	mutex   sync.Mutex
	process string         // that took our last order, or that we saw first
	given   map[string]int // shares that it was ordered to have, by identity; nil where this driver ordered none
	latest  string         // process that answered last
	renewed time.Time      // since when it has answered in another's place; zero where there was no other
}

// New opens the balancer; nothing is dialled yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.HAProxy
	if definition == nil || len(definition.Sockets) == 0 {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no haproxy", options.Environment)
	}
	d := &Driver{
		backend: definition.Backend, clocks: options.Definition.Drain,
		names: newNames(options.Definition.Target.Slots()), ledger: newLedger(),
	}
	for n, name := range definition.Sockets {
		s, err := parseSocket(name)
		if err != nil {
			return nil, fmt.Errorf("open the balancer of %s: %w", options.Environment, err)
		}
		d.sides = append(d.sides, &side{socket: s, number: n})
	}
	return d, nil
}

// Close does nothing: no connection is kept.
func (d *Driver) Close() error { return nil }

// Can answers what HAProxy is able to do. It cannot tell streams from requests, nor refuse who is late.
func (d *Driver) Can() deploy.Capabilities {
	return deploy.Capabilities{Weights: deploy.FullWeight, Sessions: true}
}

// Introduce tells who answers where, so that what is counted is counted for the right release.
func (d *Driver) Introduce(instances []towpath.Instance) {
	for _, i := range instances {
		if i.Address != "" && i.Release > 0 {
			d.ledger.own(d.names.numeric(i.Address), i.Release)
		}
	}
}

// Observe answers the members of the backend, which is what all HAProxies together say. Where one of them cannot be read,
// none is: it may give traffic to anybody.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	if err := d.names.resolve(ctx); err != nil {
		return seen, err
	}
	tables, err := d.read(ctx)
	if err != nil {
		return seen, err
	}
	seen.Served = d.ledger.served()
	for n, s := range d.sides {
		seen.Renewed = s.isAnew(tables[n]) || seen.Renewed
	}
	seen.Instances, seen.Misrouted = d.join(tables)
	return seen, nil
}

// read reads all HAProxies at once.
func (d *Driver) read(ctx context.Context) ([]table, error) {
	tables := make([]table, len(d.sides))
	reads := new(errgroup.Group)
	for n, s := range d.sides {
		reads.Go(func() (err error) {
			tables[n], err = d.readOne(ctx, s)
			return err
		})
	}
	return tables, reads.Wait()
}

// readOne reads one of them. Where it broke off nothing has happened, so that it can be read again.
func (d *Driver) readOne(ctx context.Context, s *side) (table, error) {
	t, said, err := d.tell(ctx, s)
	var unknown *deploy.UnknownOutcome
	switch {
	case errors.As(err, &unknown):
		return t, &deploy.Retryable{Err: unknown.Err}
	case err != nil:
		return t, err
	case said != "":
		return t, d.explain(s.socket, "read it", said)
	}
	return t, nil
}

// tell has one of them carry out commands, and reads its table in the same exchange. What it said to the commands comes
// back as well.
func (d *Driver) tell(ctx context.Context, s *side, commands ...string) (t table, said string, err error) {
	answer, err := s.exchange(ctx, append(slices.Clip(commands), look(d.backend)...)...)
	if err != nil {
		return t, "", err
	}
	t, said, err = parseTable(answer)
	if err != nil {
		err = d.explain(s.socket, "read it", said+"\n"+err.Error())
		if len(commands) > 0 {
			err = &deploy.UnknownOutcome{Err: err}
		}
		return t, said, err
	}
	d.ledger.enter(s.number, t)
	return t, strings.TrimSpace(said), nil
}

// Do performs an operation of a balancer.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	if err := d.names.resolve(ctx, addresses(o.Instances)...); err != nil {
		return deploy.Receipt{}, err
	}
	d.Introduce(o.Instances)
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		return deploy.Receipt{}, d.shift(ctx, operation, o.Instances)
	case deploy.Drain:
		return d.drain(ctx, operation, o.Instances)
	case deploy.EndStreams:
		return d.endStreams(ctx, operation, o.Instances)
	case deploy.Forget:
		return deploy.Receipt{}, d.forget(ctx, operation, o.Instances)
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
}

// each gives every HAProxy its orders, at once. Where one fails, the others have them all the same.
func (d *Driver) each(do func(*side) error) error {
	orders := new(errgroup.Group)
	for _, s := range d.sides {
		orders.Go(func() error { return do(s) })
	}
	return orders.Wait()
}
