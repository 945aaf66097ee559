package hosts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// singlePatience is how long a single process may take to show that it runs.
const singlePatience = 20 * time.Second

// singlesOf tells of single processes that run on a host, or may. What is over, and would not be started again by itself, is
// not among them: also what ran before its host was started again.
func (d *Driver) singlesOf(m *machine, t table) (seen []towpath.Single) {
	for _, p := range t.processes {
		if p.kind != single || p.hasEnded() {
			continue
		}
		seen = append(seen, towpath.Single{
			Process: p.name, Instance: p.instance, Slot: d.slotIn(m, t, p.instance), State: p.state(), Since: t.time(p.at),
			Problem: p.problem(t.boot), Log: p.log,
		})
	}
	return seen
}

// slotIn names the slot of an instance on a host; any of the host's where it has no slot any more, as it runs there for certain.
func (d *Driver) slotIn(m *machine, t table, id string) (slot string) {
	n := slices.IndexFunc(t.instances, func(p placed) bool { return p.id == id })
	for _, s := range d.slots {
		if s.machine == m && (slot == "" || n >= 0 && s.name == t.instances[n].slot) {
			slot = s.Name
		}
	}
	return slot
}

// unsure is what is left of single processes on a host that does not answer.
func unsure(seen []towpath.Single) []towpath.Single {
	left := slices.Clone(seen)
	for n := range left {
		left[n].State, left[n].Problem = towpath.InstanceUnknown, "its host does not answer"
	}
	return left
}

// startSingle starts a single process beside an instance, and sees that it runs. Every host that answers says first, under
// this keeper's epoch, that none of its name runs there.
func (d *Driver) startSingle(ctx context.Context, o deploy.Order, operation deploy.StartSingle) (deploy.Receipt, error) {
	all := d.options.Definition.Singles()
	n := slices.IndexFunc(all, func(p towpath.ProcessDefinition) bool { return p.Name == operation.Process })
	if n < 0 {
		return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("%s: the definition has no single process of that name", operation)}
	}
	seats, err := d.seats(o, []string{operation.Instance}, nil)
	if err != nil {
		return deploy.Receipt{}, err
	}
	if err := d.seeNone(ctx, o, operation, seats); err != nil {
		return deploy.Receipt{}, err
	}
	moment := failpoint.At("start a single process on a host")
	moment.Before()
	for m, on := range seats {
		v := d.list(o.Release, on)
		d.furnish(v, o.Release, on, all[n:n+1])
		v["TW_NAME"], v["TW_MARK"], v["TW_PATIENCE"] = operation.Process, d.markOf(operation.Process), seconds(singlePatience)
		m.seesSingle(operation.Process, operation.Instance, &towpath.Single{
			Process: operation.Process, Instance: operation.Instance, Slot: on[0].slot.Name, State: towpath.InstanceRunning,
		})
		if _, err := m.order(ctx, o.Epoch, operation.String(), scriptStartSingle, v, nil); err != nil {
			return deploy.Receipt{}, err
		}
	}
	moment.After()
	return deploy.Receipt{}, nil
}

// seeNone asks all other hosts. One that cannot be reached is passed over: what may run there is the planner's to know.
func (d *Driver) seeNone(ctx context.Context, o deploy.Order, operation deploy.StartSingle, seats map[*machine][]seat) error {
	return d.everywhere(d.machines, func(m *machine) error {
		if len(seats[m]) > 0 {
			return nil
		}
		v := variables{"TW_NAME": operation.Process, "TW_MARK": d.markOf(operation.Process)}
		_, err := m.order(ctx, o.Epoch, "see that no "+operation.Process+" runs", scriptSeeNone, v, nil)
		if _, isAway := errors.AsType[*ssh.Error](err); isAway && gradeOf(err) == gradeRetryable {
			return nil
		}
		return err
	})
}

// stopSingle ends a single process with all that it has started, on its host, or wherever it could be.
func (d *Driver) stopSingle(ctx context.Context, o deploy.Order, operation deploy.StopSingle) (deploy.Receipt, error) {
	moment := failpoint.At("stop a single process on a host")
	moment.Before()
	seats := d.everySeat(o, []string{operation.Instance})
	told, err := d.tellEach(ctx, o, seats, scriptStopSingle, variables{"TW_NAME": operation.Process})
	if err != nil {
		return deploy.Receipt{}, err
	}
	for m := range seats {
		m.seesSingle(operation.Process, operation.Instance, nil)
	}
	moment.After()
	return deploy.Receipt{Detail: told}, nil
}
