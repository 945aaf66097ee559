package dns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// tries is how often an order is made anew because somebody else has changed the records in between.
const tries = 5

// Options are what a driver is opened with. All are needed.
type Options struct {
	Environment string // key, for messages
	Definition  towpath.EnvironmentDefinition
	Credentials map[string]string // with the key that updates are signed by
	Now         func() time.Time  // time.Now, but in tests
}

// Driver is the balancer of one environment.
type Driver struct {
	server server
	name   string // with its last dot
	ttl    time.Duration
	slots  []towpath.Slot
	now    func() time.Time
}

// New opens the balancer; nothing is dialled yet.
func New(options Options) (*Driver, error) {
	definition := options.Definition.Balancer.DNS
	if definition == nil {
		return nil, fmt.Errorf("open the balancer of %s: its definition has no dns", options.Environment)
	}
	key, err := ParseKey(options.Credentials[definition.Key])
	if err != nil {
		return nil, fmt.Errorf("open the balancer of %s: the secret %s: %w", options.Environment, definition.Key, err)
	}
	return &Driver{
		server: server{address: withPort(definition.Server), zone: dns.CanonicalName(definition.Zone), key: key},
		name:   dns.CanonicalName(definition.Name), ttl: definition.TTL, slots: options.Definition.Target.Slots(), now: options.Now,
	}, nil
}

// withPort adds the port of DNS where an address has none.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(address, "53")
}

// Close does nothing: no connection is kept.
func (d *Driver) Close() error { return nil }

// Can answers what a name is able to do: an address is in its records or is not.
func (d *Driver) Can() deploy.Capabilities { return deploy.Capabilities{Weights: 1, Fencing: true} }

// Observe answers the members. What one that lost its share still has in flight is not known.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: d.now()}
	t, err := d.read(ctx)
	if err != nil {
		return seen, err
	}
	seen.Epoch, seen.Renewed = t.epoch, !t.isNoted
	if len(t.records) > 0 {
		seen.Cached = &towpath.Cached{TTL: t.ttl, Until: t.lastOld()}
	}
	all := d.everybody(t)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		m := all[id]
		release, _ := towpath.ParseInstanceID(id)
		traffic := towpath.Traffic{Known: true, Member: true, Uncounted: !m.left.IsZero()}
		if slices.Contains(t.serving, m.ip) {
			traffic.Weight, traffic.Uncounted = deploy.FullWeight, true
		}
		seen.Instances = append(seen.Instances, towpath.Instance{ID: id, Release: release, Address: m.address, Traffic: traffic})
		if _, port, err := net.SplitHostPort(m.address); err == nil {
			seen.Address = net.JoinHostPort(d.name[:len(d.name)-1], port)
		}
	}
	return seen, nil
}

// Do performs an operation of a balancer.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	switch operation := o.Operation.(type) {
	case deploy.Shift:
		return d.perform(ctx, o.Epoch, func(t table) (table, error) { return d.shift(ctx, t, operation, o.Instances) })
	case deploy.Drain:
		return d.drain(ctx, operation)
	case deploy.EndStreams:
		return deploy.Receipt{Detail: "DNS closes nothing: streams end with the instance"}, nil
	case deploy.Shorten:
		return d.perform(ctx, o.Epoch, d.shorten)
	case deploy.Forget:
		return d.perform(ctx, o.Epoch, func(t table) (table, error) { return d.forget(t, operation.Instances) })
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a balancer cannot %s", o.Operation)}
}

// perform makes one update of what is there, again when somebody else was faster.
func (d *Driver) perform(ctx context.Context, epoch towpath.Epoch, to func(table) (table, error)) (deploy.Receipt, error) {
	for range tries {
		t, err := d.read(ctx)
		if err != nil {
			return deploy.Receipt{}, err
		}
		if t.isNoted && epoch.Before(t.epoch) {
			return deploy.Receipt{}, &deploy.StaleEpoch{Seen: t.epoch}
		}
		wanted, err := to(t)
		if err != nil {
			return deploy.Receipt{}, err
		}
		wanted.epoch = epoch
		if d.isSame(t, wanted) {
			return deploy.Receipt{}, nil
		}
		d.noteLonger(t, &wanted)
		err = d.server.update(ctx, d.change(t, wanted))
		if errors.Is(err, errChanged) {
			continue
		}
		return d.receipt(t, wanted), err
	}
	return deploy.Receipt{}, &deploy.Retryable{Err: errChanged}
}

// isSame says that an update would change nothing.
func (d *Driver) isSame(was, wanted table) bool {
	return was.isNoted && slices.Equal(was.serving, wanted.serving) && slices.Equal(was.lines(), wanted.lines()) &&
		(was.ttl == d.ttl || len(was.serving) == 0)
}

// shorten answers the same addresses; change gives all records the time to live that they should have.
func (d *Driver) shorten(t table) (table, error) {
	wanted := t
	wanted.members = d.everybody(t)
	return wanted, nil
}

// noteLonger notes until when clients may keep records that live longer than those that an update puts in their place.
func (d *Driver) noteLonger(was table, wanted *table) {
	if was.ttl > d.ttl {
		wanted.lowered = d.seconds()
		wanted.before = max(was.ttl, was.lastOld().Sub(wanted.lowered))
	}
}

// seconds is the time as it is noted, which is never too early.
func (d *Driver) seconds() time.Time { return d.now().Add(time.Second - 1).Truncate(time.Second) }

// mayLeave is an error while clients may keep the address of one that answers and loses its share for longer than they should: the
// records were changed since the order was thought of, which has to be thought over.
func (d *Driver) mayLeave(was, wanted table, instances []towpath.Instance) error {
	answers := func(m member) bool {
		return !slices.ContainsFunc(instances, func(i towpath.Instance) bool { return i.Address == m.address && i.Health == towpath.HealthFailing })
	}
	leaving := slices.DeleteFunc(slices.Collect(maps.Values(d.everybody(was))), func(m member) bool {
		return !slices.Contains(was.serving, m.ip) || slices.Contains(wanted.serving, m.ip) || !answers(m)
	})
	switch {
	case len(leaving) == 0:
		return nil
	case was.ttl > d.ttl:
		return &deploy.Retryable{Err: fmt.Errorf("the records of %s live for %s, and should for %s: that is to be shortened first", d.name, was.ttl, d.ttl)}
	case d.now().Before(was.lastOld()):
		return &deploy.Retryable{Err: fmt.Errorf("the records of %s lived for %s: now for %s, but until %s clients may have the old ones",
			d.name, was.before, d.ttl, was.lastOld().Format(time.TimeOnly))}
	}
	return nil
}

// isWithin says that all of these are among the others.
func isWithin(these, others []netip.Addr) bool {
	return !slices.ContainsFunc(these, func(ip netip.Addr) bool { return !slices.Contains(others, ip) })
}

// receipt says what clients will see.
func (d *Driver) receipt(was, is table) deploy.Receipt {
	if isWithin(was.serving, is.serving) {
		return deploy.Receipt{}
	}
	return deploy.Receipt{Detail: fmt.Sprintf("clients that have asked before go on with the old addresses for up to %s", d.ttl)}
}

// shift answers the table in which those with a weight serve.
func (d *Driver) shift(ctx context.Context, t table, o deploy.Shift, instances []towpath.Instance) (table, error) {
	wanted := t
	wanted.members, wanted.serving = d.everybody(t), nil
	for id := range o.Weights {
		if i := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id }); i >= 0 && d.isNew(instances[i], wanted.members) {
			if err := d.enroll(ctx, wanted.members, instances[i]); err != nil {
				return wanted, err
			}
		}
		m, is := wanted.members[id]
		if !is {
			return wanted, &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
		if o.Weights[id] > 0 && !slices.Contains(wanted.serving, m.ip) {
			wanted.serving = append(wanted.serving, m.ip)
		}
	}
	slices.SortFunc(wanted.serving, netip.Addr.Compare)
	if err := d.settle(&wanted, t, o.Weights); err != nil {
		return wanted, err
	}
	return wanted, d.mayLeave(t, wanted, instances)
}

// isNew says that an instance is no member yet, or answers elsewhere now. Of one that is known by its IP address alone, nobody
// knows the port.
func (d *Driver) isNew(i towpath.Instance, members map[string]member) bool {
	m, is := members[i.ID]
	return i.Address != "" && (!is || m.address != i.Address)
}

// enroll makes an instance a member, in the place of one that was known by its address alone.
func (d *Driver) enroll(ctx context.Context, members map[string]member, i towpath.Instance) error {
	ip, err := resolve(ctx, i.Address)
	if err != nil {
		return &deploy.Retryable{Err: fmt.Errorf("give traffic to %s: %w", i.ID, err)}
	}
	maps.DeleteFunc(members, func(id string, m member) bool { return id == m.address && m.ip == ip })
	m := members[i.ID]
	m.address, m.ip = i.Address, ip
	members[i.ID] = m
	return nil
}

// settle notes who lost the share, and leaves one member at each address: names know no ports.
func (d *Driver) settle(wanted *table, was table, weights map[string]int) error {
	for id, m := range wanted.members {
		switch {
		case weights[id] > 0:
			m.left = time.Time{}
			for other, o := range wanted.members {
				if other == id || o.ip != m.ip {
					continue
				}
				if o.address != m.address {
					return &deploy.Permanent{Err: fmt.Errorf("%s and %s are both at %s: a name knows no ports, so a host can have one slot only", id, other, m.ip)}
				}
				delete(wanted.members, other) // its place was taken
			}
		case slices.Contains(was.serving, m.ip) && m.left.IsZero():
			m.left = d.seconds()
		}
		if _, is := wanted.members[id]; is {
			wanted.members[id] = m
		}
	}
	return nil
}

// forget answers what is left.
func (d *Driver) forget(t table, ids []string) (table, error) {
	wanted := t
	wanted.members = maps.Clone(t.members)
	for _, id := range ids {
		if m, is := d.everybody(t)[id]; is && slices.Contains(t.serving, m.ip) {
			return wanted, &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
		delete(wanted.members, id)
	}
	return wanted, nil
}

// drain waits until the time is over since the members lost their share: what they have in flight is not known.
func (d *Driver) drain(ctx context.Context, o deploy.Drain) (deploy.Receipt, error) {
	t, err := d.read(ctx)
	if err != nil {
		return deploy.Receipt{}, err
	}
	var wait time.Duration
	for _, id := range o.Instances {
		m, is := d.everybody(t)[id]
		if is && slices.Contains(t.serving, m.ip) {
			return deploy.Receipt{}, &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
		if !m.left.IsZero() {
			wait = max(wait, min(o.Within, m.left.Add(o.Within).Sub(d.now())))
		}
	}
	select {
	case <-ctx.Done():
		return deploy.Receipt{}, &deploy.Retryable{Err: context.Cause(ctx)}
	case <-time.After(wait):
	}
	return deploy.Receipt{Detail: fmt.Sprintf("waited %s: nobody can count who still has an old address", wait.Round(time.Second))}, nil
}

// resolve answers the address without a name and a port.
func resolve(ctx context.Context, address string) (netip.Addr, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}, err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return netip.Addr{}, fmt.Errorf("read the port of %s: %w", address, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return slices.MinFunc(found, netip.Addr.Compare).Unmap(), nil
}

// addressAt is where an instance of the target answers at an IP address; empty where the target has no slot there.
func (d *Driver) addressAt(ip netip.Addr) string {
	for _, s := range d.slots {
		if host, _, err := net.SplitHostPort(s.Address); err == nil && host == ip.String() {
			return s.Address
		}
	}
	return ""
}
