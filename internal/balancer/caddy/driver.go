package caddy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// tries is how often an order reads and writes anew because somebody else has changed the configuration in between.
const tries = 5

// poll is how often a drain looks.
const poll = 25 * time.Millisecond

// Options are what a driver is opened with. All are needed.
type Options struct {
	Environment string // key, for messages
	Definition  towpath.EnvironmentDefinition
}

// Driver is the balancer of one environment.
type Driver struct {
	id    string
	admin admin
}

// New opens the balancer; nothing is dialled yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.Caddy
	if definition == nil {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no caddy", options.Environment)
	}
	admin, err := newAdmin(definition.Admin)
	if err != nil {
		return nil, fmt.Errorf("open the balancer of %s: %w", options.Environment, err)
	}
	return &Driver{id: definition.ID, admin: admin}, nil
}

// Close does nothing: no connection is kept.
func (d *Driver) Close() error { return nil }

// Can answers what Caddy is able to do: an upstream is in the list or is not.
func (d *Driver) Can() deploy.Capabilities {
	return deploy.Capabilities{Weights: 1, Sessions: true, Fencing: true}
}

// Observe answers the members. Caddy counts a stream as a request that takes long.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	t, err := d.read(ctx)
	if err != nil {
		return seen, err
	}
	inFlight, err := d.inFlight(ctx)
	if err != nil {
		return seen, err
	}
	seen.Epoch, seen.Renewed, seen.Address = t.epoch(), t.keeps < 0, d.address(ctx, t)
	members := t.members()
	for _, id := range slices.Sorted(maps.Keys(members)) {
		address := members[id]
		release, _ := towpath.ParseInstanceID(id)
		requests, counted := inFlight[address]
		traffic := towpath.Traffic{Known: true, Member: true, Requests: requests, Uncounted: !counted}
		if t.serves(address) {
			traffic.Weight = deploy.FullWeight
		}
		seen.Instances = append(seen.Instances, towpath.Instance{ID: id, Release: release, Address: address, Traffic: traffic})
	}
	return seen, nil
}

// inFlight is how many requests each address has, of those that some handler knows.
func (d *Driver) inFlight(ctx context.Context) (map[string]int, error) {
	var hosts []struct {
		Address  string `json:"address"`
		Requests int    `json:"num_requests"`
	}
	if _, err := d.admin.read(ctx, "/reverse_proxy/upstreams", &hosts); err != nil {
		return nil, err
	}
	counts := make(map[string]int, len(hosts))
	for _, h := range hosts {
		counts[h.Address] = h.Requests
	}
	return counts, nil
}

// Do performs an operation of a balancer.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		return deploy.Receipt{}, d.change(ctx, o.Epoch, func(t table) (map[string]string, []string, error) {
			return shift(t, operation, o.Instances)
		})
	case deploy.Drain:
		return d.drain(ctx, operation)
	case deploy.EndStreams:
		return deploy.Receipt{Detail: "Caddy has closed them when the traffic moved"}, nil
	case deploy.Forget:
		return deploy.Receipt{}, d.change(ctx, o.Epoch, func(t table) (map[string]string, []string, error) {
			return forget(t, operation.Instances)
		})
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
}

// change makes one change of the configuration from what is there. It is made anew when somebody else was faster, and not
// at all where everything is as it should be: each change has its price.
func (d *Driver) change(ctx context.Context, epoch towpath.Epoch, to func(table) (map[string]string, []string, error)) error {
	for range tries {
		t, err := d.read(ctx)
		if err != nil {
			return err
		}
		if t.keeps >= 0 && epoch.Before(t.epoch()) {
			return &deploy.StaleEpoch{Seen: t.epoch()}
		}
		members, serving, err := to(t)
		if err != nil {
			return err
		}
		if t.keeps >= 0 && t.epoch() == epoch && maps.Equal(members, t.ledger.Members) && slices.Equal(serving, slices.Sorted(slices.Values(t.serving))) {
			return nil
		}
		if err := d.admin.replace(ctx, t.path, t.tag, d.with(t, epoch, members, serving)); !errors.Is(err, errChanged) {
			return err
		}
	}
	return &deploy.Retryable{Err: errChanged}
}

// shift answers all members, and the addresses of those that have a share.
func shift(t table, o deploy.Shift, instances []towpath.Instance) (members map[string]string, serving []string, err error) {
	members = t.members()
	for id := range o.Weights {
		i := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id })
		switch {
		case i >= 0 && instances[i].Address != "":
			delete(members, instances[i].Address) // it was known by its address alone
			members[id] = instances[i].Address
		case members[id] == "":
			return nil, nil, &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
	}
	for id, weight := range o.Weights {
		if weight > 0 {
			serving = append(serving, members[id])
		}
	}
	oneEach(members, o.Weights)
	slices.Sort(serving)
	return members, slices.Compact(serving), nil
}

// oneEach leaves one member at each address, where an instance has taken another's place: the one with a share, or the newest.
func oneEach(members map[string]string, weights map[string]int) {
	at := map[string]string{} // instance by address
	for _, id := range slices.Sorted(maps.Keys(members)) {
		address := members[id]
		other, taken := at[address]
		if taken && isRather(other, id, weights) {
			delete(members, id)
			continue
		}
		delete(members, other)
		at[address] = id
	}
}

func isRather(one, other string, weights map[string]int) bool {
	if a, b := weights[one] > 0, weights[other] > 0; a != b {
		return a
	}
	_, a := towpath.ParseInstanceID(one)
	_, b := towpath.ParseInstanceID(other)
	return a >= b
}

// forget answers what is left.
func forget(t table, ids []string) (members map[string]string, serving []string, err error) {
	members = t.members()
	for _, id := range ids {
		if t.serves(members[id]) {
			return nil, nil, &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
		delete(members, id)
	}
	return members, slices.Sorted(slices.Values(t.serving)), nil
}

// drain waits until nothing is in flight at the instances, or their time is over.
func (d *Driver) drain(ctx context.Context, o deploy.Drain) (deploy.Receipt, error) {
	began := time.Now()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		left, err := d.left(ctx, o.Instances)
		if err != nil {
			return deploy.Receipt{}, err
		}
		waited := time.Since(began)
		if left == 0 || waited >= o.Within {
			return deploy.Receipt{Detail: fmt.Sprintf("%d requests left after %s", left, waited.Round(time.Millisecond))}, nil
		}
		select {
		case <-ctx.Done():
			return deploy.Receipt{}, &deploy.Retryable{Err: context.Cause(ctx)}
		case <-ticker.C:
		}
	}
}

// left is how many requests instances without a share have in flight.
func (d *Driver) left(ctx context.Context, ids []string) (left int, err error) {
	t, err := d.read(ctx)
	if err != nil {
		return 0, err
	}
	inFlight, err := d.inFlight(ctx)
	if err != nil {
		return 0, err
	}
	members := t.members()
	for _, id := range ids {
		if t.serves(members[id]) {
			return 0, &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
		left += inFlight[members[id]]
	}
	return left, nil
}
