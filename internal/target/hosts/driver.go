package hosts

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/probe"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// Options are what a driver is opened with. All but Secrets are needed.
type Options struct {
	Environment string // key: "pipeline/name"
	Definition  towpath.EnvironmentDefinition
	Secrets     map[string]string // become part of the environment of what is started
	DataDir     string            // the worker's; what is sent is laid out there first
	SSH         ssh.Options
	Files       deploy.Files
	Logger      *slog.Logger
}

// Driver is the target of one environment.
type Driver struct {
	options    Options
	definition towpath.HostsTarget
	slots      []slot
	machines   []*machine // in the order of the definition
	network    *ssh.Network
	probers    *probe.Probers
	parcels    *parcels
	mends      mends
}

// slot is a fixed place, with where it is on its host.
type slot struct {
	towpath.Slot
	machine *machine
	name    string // of its own: "current" where its host has no other
	dir     string // below the environment's path
	port    int
}

// New opens the target. No host is reached yet.
func New(options Options) (*Driver, error) {
	target := options.Definition.Target.Hosts
	if target == nil {
		return nil, fmt.Errorf("open the target of %s: its definition has no hosts", options.Environment)
	}
	folder := filepath.Join(options.DataDir, "hosts", strings.ReplaceAll(options.Environment, "/", "@"))
	parcels, err := newParcels(folder, options.Files)
	if err != nil {
		return nil, fmt.Errorf("open the target of %s: %w", options.Environment, err)
	}
	d := &Driver{options: options, definition: *target, network: ssh.New(options.SSH), parcels: parcels}
	closing, closeAll := context.WithCancel(context.Background())
	d.mends = mends{driver: d, closing: closing, close: closeAll, underWay: make(map[*machine]bool)}
	for _, host := range target.Hosts {
		port := ""
		if host.SSHPort != 0 {
			port = strconv.Itoa(host.SSHPort)
		}
		d.machines = append(d.machines, &machine{
			name: host.Name, remote: d.network.Host(host.Name, host.User, port), path: target.Path, owner: target.Owner,
			longer: longestStop(options.Definition),
		})
	}
	for _, s := range options.Definition.Target.Slots() {
		d.slots = append(d.slots, d.slotOf(s))
	}
	d.probers = probe.New(probe.Options{Definition: options.Definition, Dial: d.dial})
	return d, nil
}

// slotOf finds where on its host a slot is.
func (d *Driver) slotOf(s towpath.Slot) slot {
	found := slot{Slot: s, name: "current", dir: "."}
	if _, name, several := strings.Cut(s.Name, "/"); several {
		found.name, found.dir = name, name
	}
	_, port, _ := net.SplitHostPort(s.Address)
	found.port, _ = strconv.Atoi(port)
	found.machine = d.machines[slices.IndexFunc(d.machines, func(m *machine) bool { return m.name == s.Host })]
	return found
}

// dial reaches an instance as the network of its host does.
func (d *Driver) dial(ctx context.Context, _, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, m := range d.machines {
		if m.name == name {
			return m.remote.Dial(ctx, port)
		}
	}
	return nil, fmt.Errorf("%s is no host of %s", name, d.options.Environment)
}

// Close ends probes and connections. The instances run on.
func (d *Driver) Close() error {
	d.mends.close()
	d.mends.running.Wait()
	d.probers.Close()
	if err := d.network.Close(); err != nil {
		return err
	}
	return os.RemoveAll(d.parcels.folder)
}

// Can answers what the target is able to do: its slots are fixed.
func (d *Driver) Can() deploy.Capabilities {
	return deploy.Capabilities{Slots: len(d.slots), Fencing: true}
}

// Do performs an operation of a target.
func (d *Driver) Do(ctx context.Context, o deploy.Order) (deploy.Receipt, error) {
	if err := d.claim(ctx, o.Epoch); err != nil {
		return deploy.Receipt{}, err
	}
	switch operation := o.Operation.(type) {
	case deploy.Check:
		return d.check(ctx, o, operation)
	case deploy.Place:
		return d.place(ctx, o, operation)
	case deploy.Start:
		return d.start(ctx, o, operation)
	case deploy.Probe:
		return d.probe(ctx, o, operation)
	case deploy.Stop:
		return d.stop(ctx, o, operation)
	case deploy.Remove:
		return d.remove(ctx, o, operation)
	case deploy.Inspect:
		return d.inspect(ctx, o, operation), nil
	case deploy.StartSingle:
		return d.startSingle(ctx, o, operation)
	case deploy.StopSingle:
		return d.stopSingle(ctx, o, operation)
	}
	return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("a target cannot %s", o.Operation)}
}

// claim has every host that answers refuse earlier keepers, with the first order under an epoch. One that does not answer
// hears of it with the first order that it gets.
func (d *Driver) claim(ctx context.Context, epoch towpath.Epoch) error {
	return d.everywhere(d.machines, func(m *machine) error {
		if m.isClaimedBy(epoch) {
			return nil
		}
		_, err := m.order(ctx, epoch, "take over", scriptClaim, nil, nil)
		if gradeOf(err) == gradeRetryable {
			return nil
		}
		if err == nil {
			m.claimedBy(epoch)
		}
		return err
	})
}

// everywhere does something on machines at once, and answers all that went wrong.
func (d *Driver) everywhere(machines []*machine, do func(*machine) error) error {
	failures := make([]error, len(machines))
	var all sync.WaitGroup
	for n, m := range machines {
		all.Go(func() { failures[n] = do(m) })
	}
	all.Wait()
	return joined(failures)
}

// seat is an instance in its slot.
type seat struct {
	id   string
	slot slot
}

// seats finds where instances are, or are to be: as an order says, or as they were seen.
func (d *Driver) seats(o deploy.Order, ids []string, given map[string]string) (map[*machine][]seat, error) {
	found := make(map[*machine][]seat)
	for _, id := range ids {
		name := d.slotName(o, id, given)
		n := slices.IndexFunc(d.slots, func(s slot) bool { return s.Name == name })
		if n < 0 {
			return nil, &deploy.Permanent{Err: fmt.Errorf("%s has no slot (%q is none of %s)", id, name, d.options.Environment)}
		}
		found[d.slots[n].machine] = append(found[d.slots[n].machine], seat{id: id, slot: d.slots[n]})
	}
	return found, nil
}

// everySeat is as seats, and has an instance that nobody has seen wherever it could be.
func (d *Driver) everySeat(o deploy.Order, ids []string) map[*machine][]seat {
	found := make(map[*machine][]seat)
	for _, id := range ids {
		name := d.slotName(o, id, nil)
		for _, s := range d.slots {
			if name == "" || name == s.Name {
				found[s.machine] = append(found[s.machine], seat{id: id, slot: s})
			}
		}
	}
	return found
}

func (d *Driver) slotName(o deploy.Order, id string, given map[string]string) string {
	if name := given[id]; name != "" {
		return name
	}
	for _, i := range o.Instances {
		if i.ID == id && i.Slot != "" {
			return i.Slot
		}
	}
	return d.lastSlot(id)
}

// lastSlot is where an instance was seen.
func (d *Driver) lastSlot(id string) string {
	for _, m := range d.machines {
		for _, i := range m.lastSeen() {
			if i.ID == id {
				return i.Slot
			}
		}
	}
	return ""
}

// of answers the machines that seats are on, in the order of the definition.
func (d *Driver) of(seats map[*machine][]seat) []*machine {
	return slices.DeleteFunc(slices.Clone(d.machines), func(m *machine) bool { return len(seats[m]) == 0 })
}
