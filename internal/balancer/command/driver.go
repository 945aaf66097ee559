package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/secret"
)

// poll is how often a drain counts.
const poll = 100 * time.Millisecond

// The operations that scripts know.
const (
	observe = "observe"
	shift   = "shift"
	drain   = "drain"
)

// Options are what a driver is opened with. All but Secrets are needed.
type Options struct {
	Environment string // key
	Definition  towpath.EnvironmentDefinition
	Secrets     map[string]string // become part of the environment of scripts
}

// Driver is the balancer of one environment.
type Driver struct {
	environment string
	scripts     towpath.CommandBalancer
	secrets     map[string]string
	masker      *secret.Masker

	mutex   sync.Mutex
	drained map[string]bool // instances that a drain has found idle since they lost their share; another driver drains again
}

// New opens the balancer; nothing is run yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.Command
	if definition == nil {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no command", options.Environment)
	}
	return &Driver{
		environment: options.Environment, scripts: *definition, secrets: options.Secrets,
		masker: secret.NewMasker(slices.Collect(maps.Values(options.Secrets))...), drained: make(map[string]bool),
	}, nil
}

// Close does nothing: no script outlives its order.
func (d *Driver) Close() error { return nil }

// Can answers what the scripts say that they are able to do.
func (d *Driver) Can() deploy.Capabilities {
	can := deploy.Capabilities{Weights: 1, Sessions: d.scripts.Sessions, Fencing: d.scripts.Fencing}
	if d.scripts.Weights {
		can.Weights = deploy.FullWeight
	}
	return can
}

// Observe answers the members that the script prints. Where it counts nothing, one without a share may have something in
// flight until a drain has awaited it.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	a, err := d.run(ctx, d.scripts.Observe, order{Operation: observe})
	if err != nil {
		return seen, err
	}
	seen.Epoch, seen.Address = a.Epoch.seen(), a.Address
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, m := range newTable(a.Members).members() {
		i := towpath.Instance{ID: m.ID, Address: m.Address}
		i.Release, _ = towpath.ParseInstanceID(m.ID)
		i.Traffic = towpath.Traffic{Known: true, Member: true, Weight: m.Share, Requests: m.InFlight}
		i.Traffic.Uncounted = !d.scripts.Sessions && m.Share == 0 && !d.drained[m.ID]
		if !d.scripts.Weights && m.Share > 0 {
			i.Traffic.Weight = deploy.FullWeight
		}
		seen.Instances = append(seen.Instances, i)
	}
	return seen, nil
}

// Do performs an operation of a balancer. Each begins with a look, by which an order of a stale epoch is refused where the
// script tells the epoch; where another comes in between, the script has to refuse it.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	if deploy.PerformerOf(o.Operation) != deploy.ByBalancer {
		return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
	}
	a, err := d.run(ctx, d.scripts.Observe, order{Operation: observe})
	if err != nil {
		return deploy.Receipt{}, err
	}
	if o.Epoch.Before(a.Epoch.seen()) {
		return deploy.Receipt{}, &deploy.StaleEpoch{Seen: a.Epoch.seen()}
	}
	t := newTable(a.Members)
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		wanted, err := t.shifted(operation, o.Instances)
		if err != nil {
			return deploy.Receipt{}, err
		}
		return deploy.Receipt{}, d.set(ctx, o.Epoch, wanted)
	case deploy.Drain:
		return d.drain(ctx, o.Epoch, t, operation)
	case deploy.Forget:
		if err := t.idle(operation.Instances); err != nil {
			return deploy.Receipt{}, err
		}
		maps.DeleteFunc(t, func(_ string, m member) bool { return slices.Contains(operation.Instances, m.ID) })
		return deploy.Receipt{}, d.set(ctx, o.Epoch, t)
	}
	return deploy.Receipt{Detail: "the scripts close nothing: streams end with the instance"}, nil
}

// set gives all members their shares. Whoever is not among them is none any more.
func (d *Driver) set(ctx context.Context, e towpath.Epoch, t table) error {
	d.mutex.Lock()
	for _, m := range t {
		if m.Share > 0 {
			delete(d.drained, m.ID)
		}
	}
	d.mutex.Unlock()
	_, err := d.run(ctx, d.scripts.Shift, order{Operation: shift, Epoch: &epoch{e.Number, e.Holder}, Members: t.members()})
	return err
}

// drain waits until nothing is in flight, by the script for it, by what is counted, or by the clock.
func (d *Driver) drain(ctx context.Context, e towpath.Epoch, t table, o deploy.Drain) (deploy.Receipt, error) {
	if err := t.idle(o.Instances); err != nil {
		return deploy.Receipt{}, err
	}
	began := time.Now()
	switch {
	case d.scripts.Drain != "":
		if err := d.runDrain(ctx, e, t, o); err != nil {
			return deploy.Receipt{}, err
		}
	case d.scripts.Sessions:
		return d.count(ctx, o)
	default:
		if err := sleep(ctx, o.Within); err != nil {
			return deploy.Receipt{}, err
		}
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, id := range o.Instances {
		d.drained[id] = true
	}
	return deploy.Receipt{Detail: fmt.Sprintf("waited %s", time.Since(began).Round(time.Millisecond))}, nil
}

// runDrain lets the script wait, and ends it when the time is over: that is no failure.
func (d *Driver) runDrain(ctx context.Context, e towpath.Epoch, t table, o deploy.Drain) error {
	within, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	work := order{Operation: drain, Epoch: &epoch{e.Number, e.Holder}, Within: int((o.Within + time.Second - 1) / time.Second)}
	for _, id := range o.Instances {
		if m, is := t[t.addressOf(id)]; is {
			work.Members = append(work.Members, m)
		}
	}
	_, err := d.run(within, d.scripts.Drain, work)
	if within.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// count looks until nothing is in flight, at most so long.
func (d *Driver) count(ctx context.Context, o deploy.Drain) (deploy.Receipt, error) {
	for began := time.Now(); ; {
		a, err := d.run(ctx, d.scripts.Observe, order{Operation: observe})
		if err != nil {
			return deploy.Receipt{}, err
		}
		t, left := newTable(a.Members), 0
		if err := t.idle(o.Instances); err != nil {
			return deploy.Receipt{}, err
		}
		for _, id := range o.Instances {
			left += t[t.addressOf(id)].InFlight
		}
		waited := time.Since(began)
		if left == 0 || waited >= o.Within {
			return deploy.Receipt{Detail: fmt.Sprintf("%d in flight after %s", left, waited.Round(time.Millisecond))}, nil
		}
		if err := sleep(ctx, min(poll, o.Within-waited)); err != nil {
			return deploy.Receipt{}, err
		}
	}
}
