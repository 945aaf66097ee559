package nginx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/remote"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// Options are what a driver is opened with. All are needed, SSH only where nginx runs on other machines.
type Options struct {
	Environment string // key, for messages
	Definition  towpath.EnvironmentDefinition
	SSH         ssh.Options
}

// Driver is the balancer of one environment: the same upstream of one nginx or of several.
type Driver struct {
	environment string
	definition  towpath.NginxBalancer
	clocks      towpath.DrainDefinition
	network     *ssh.Network
	sides       []side
}

// New opens the balancer. No host is reached yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.Nginx
	if definition == nil {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no nginx", options.Environment)
	}
	d := &Driver{
		environment: options.Environment, definition: *definition, clocks: options.Definition.Drain, network: ssh.New(options.SSH),
	}
	for _, host := range definition.Hosts {
		port := ""
		if host.SSHPort != 0 {
			port = strconv.Itoa(host.SSHPort)
		}
		d.sides = append(d.sides, side{remote.Machine{Name: host.Name, Runner: d.network.Host(host.Name, host.User, port)}})
	}
	if len(d.sides) == 0 {
		d.sides = []side{{remote.Machine{Name: "nginx", Runner: remote.Here{}}}}
	}
	return d, nil
}

// Close ends the connections.
func (d *Driver) Close() error { return d.network.Close() }

// Can answers what nginx is able to do. It counts nothing that is in flight, but shows when all of it is over.
func (d *Driver) Can() deploy.Capabilities {
	return deploy.Capabilities{Weights: deploy.FullWeight, Fencing: true}
}

// Observe answers the members, which is what all sides together say. Where one of them cannot be read, none is: it may give
// traffic to anybody.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	sights, err := d.lookAll(ctx, 0)
	if err != nil {
		return seen, err
	}
	all := map[string]towpath.Instance{}
	for _, s := range sights {
		if seen.Epoch.Before(s.epoch) {
			seen.Epoch = s.epoch
		}
		t := parse(s.text)
		seen.Misrouted = seen.Misrouted || !s.isSure() || s.digest != absent && s.epoch != towpath.Epoch{} && s.text != d.render(t)
		seen.Renewed = seen.Renewed || s.digest == absent
		d.join(all, t, s)
	}
	for _, s := range sights {
		seen.Misrouted = seen.Misrouted || !maps.Equal(parse(s.text).serving(), parse(sights[0].text).serving())
	}
	for _, id := range slices.SortedFunc(maps.Keys(all), byAge) {
		seen.Instances = append(seen.Instances, all[id])
	}
	return seen, nil
}

// absent is the digest of a file that is not there.
const absent = "-"

// join adds the members of a side: one has the greatest share that any side gives it.
func (d *Driver) join(all map[string]towpath.Instance, t table, s sight) {
	for id, m := range t {
		i, is := all[id]
		if !is {
			i = towpath.Instance{ID: id, Address: m.address, Traffic: towpath.Traffic{Known: true, Member: true}}
			i.Release, _ = towpath.ParseInstanceID(id)
		}
		i.Traffic.Weight = max(i.Traffic.Weight, m.share)
		if m.share == 0 {
			d.tellOfAwaited(&i.Traffic, s)
		}
		all[id] = i
	}
}

// tellOfAwaited says what one without a share may have in flight: nginx counts nothing, but what it has replaced ends with the
// last connection. What goes on when the time of requests is over is taken for a stream, at least one a process.
func (d *Driver) tellOfAwaited(t *towpath.Traffic, s sight) {
	if s.since < d.clocks.Requests {
		t.Uncounted = t.Uncounted || s.awaited > 0
		return
	}
	t.Streams += s.awaited
}

func (d *Driver) lookAll(ctx context.Context, wait time.Duration) ([]sight, error) {
	sights := make([]sight, len(d.sides))
	looks := new(errgroup.Group)
	for n, on := range d.sides {
		looks.Go(func() (err error) {
			sights[n], err = d.look(ctx, on, wait)
			return err
		})
	}
	return sights, looks.Wait()
}

// Do performs an operation of a balancer.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		return d.everywhere(ctx, o.Epoch, "shift", func(t table) (table, error) { return t.shifted(operation, o.Instances) })
	case deploy.Drain:
		return d.await(ctx, operation.Instances, operation.Within)
	case deploy.EndStreams:
		return d.await(ctx, operation.Instances, operation.Within)
	case deploy.Forget:
		return d.everywhere(ctx, o.Epoch, "forget", func(t table) (table, error) { return t.without(operation.Instances) })
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
}

// everywhere changes all sides at once. Where one fails, the others have it all the same.
func (d *Driver) everywhere(ctx context.Context, epoch towpath.Epoch, what string, to func(table) (table, error)) (deploy.Receipt, error) {
	var receipt deploy.Receipt
	reloaded, failures := make([]bool, len(d.sides)), make([]error, len(d.sides))
	orders := new(errgroup.Group)
	for n, on := range d.sides {
		orders.Go(func() error {
			reloaded[n], failures[n] = d.change(ctx, on, epoch, d.environment+": "+what, to)
			return nil
		})
	}
	_ = orders.Wait() // they answer none
	if slices.Contains(reloaded, true) {
		receipt.Detail = "nginx was reloaded, and has closed the connections that clients kept open without a request"
	}
	return receipt, gravest(failures)
}

// gravest is the one of several errors that says most: a stale keeper first, then what nobody may try again.
func gravest(failures []error) error {
	all := errors.Join(failures...)
	if stale, is := errors.AsType[*deploy.StaleEpoch](all); is {
		return stale
	}
	if permanent, is := errors.AsType[*deploy.Permanent](all); is {
		return &deploy.Permanent{Err: inOneLine(failures), Log: permanent.Log}
	}
	if _, is := errors.AsType[*deploy.UnknownOutcome](all); is {
		return &deploy.UnknownOutcome{Err: inOneLine(failures)}
	}
	if again, is := errors.AsType[*deploy.Retryable](all); is {
		return &deploy.Retryable{Err: inOneLine(failures), After: again.After}
	}
	return all
}

func inOneLine(failures []error) error {
	var said []string
	for _, err := range failures {
		if err != nil {
			said = append(said, err.Error())
		}
	}
	return errors.New(strings.Join(said, "; "))
}

// await waits until the processes that were replaced have ended, at most so long. What they have left then, they finish: nginx
// closes nothing of it, also not streams, which end with their instance.
func (d *Driver) await(ctx context.Context, ids []string, within time.Duration) (deploy.Receipt, error) {
	began := time.Now()
	for {
		left := 0
		sights, err := d.lookAll(ctx, within-time.Since(began))
		if err != nil {
			return deploy.Receipt{}, err
		}
		for _, s := range sights {
			if err := parse(s.text).idle(ids); err != nil {
				return deploy.Receipt{}, err
			}
			left += s.awaited
		}
		if waited := time.Since(began); left == 0 || waited >= within {
			return deploy.Receipt{Detail: fmt.Sprintf("%d replaced processes of nginx have something to finish after %s", left, waited.Round(time.Millisecond))}, nil
		}
	}
}
