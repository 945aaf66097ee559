package haproxy

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// wish is the share that an instance shall have.
type wish struct {
	id      string
	address string // by number
	share   int
}

func (w wish) isOf(s server) bool {
	if s.release() > 0 {
		return s.name == w.id
	}
	return s.address == w.address
}

// shift gives shares to those that shall have one, and then takes those of the others, in one exchange with each HAProxy.
// In between both sides have some.
func (d *Driver) shift(ctx context.Context, o deploy.Shift, instances []towpath.Instance) error {
	wishes, err := d.wishes(o, instances)
	if err != nil {
		return err
	}
	return d.each(func(s *side) error { return d.shiftOne(ctx, s, wishes) })
}

// wishes orders the wanted shares, the greatest first. A member that nobody else knows has its address for a name.
func (d *Driver) wishes(o deploy.Shift, instances []towpath.Instance) ([]wish, error) {
	var wishes []wish
	for id, share := range o.Weights {
		w := wish{id: id, address: d.names.numeric(id), share: share}
		if at := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id }); at >= 0 {
			w.address = d.names.numeric(instances[at].Address)
		}
		if _, _, err := net.SplitHostPort(w.address); err != nil && share > 0 {
			return nil, &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
		wishes = append(wishes, w)
	}
	slices.SortFunc(wishes, func(a, b wish) int {
		if a.share != b.share {
			return b.share - a.share
		}
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return wishes, nil
}

// shiftOne reads the table, orders what it lacks, and reads it back in the same exchange.
func (d *Driver) shiftOne(ctx context.Context, s *side, wishes []wish) error {
	before, err := d.readOne(ctx, s)
	if err != nil {
		return err
	}
	commands := d.commands(before, wishes)
	if len(commands) == 0 {
		s.ordered(before)
		return nil
	}
	after, said, err := d.tell(ctx, s, commands...)
	if err != nil {
		return err
	}
	if !isDone(after, wishes) {
		return d.explain(s.socket, "shift", said)
	}
	s.ordered(after)
	return nil
}

// commands are what a table lacks: first what gives, then what takes.
func (d *Driver) commands(t table, wishes []wish) (commands []string) {
	taken := make(map[string]bool)
	for _, w := range wishes {
		commands = append(commands, d.fulfil(t, w, taken)...)
	}
	for _, s := range t.members() {
		if !slices.ContainsFunc(wishes, func(w wish) bool { return w.isOf(s) }) {
			commands = append(commands, d.off(s)...)
		}
	}
	return commands
}

// fulfil gives an instance its share, in a server of its own. Those that are taken are no one else's.
func (d *Driver) fulfil(t table, w wish, taken map[string]bool) (commands []string) {
	found := false
	for _, s := range t.members() {
		if !w.isOf(s) {
			continue
		}
		found = true
		commands = append(commands, d.give(s, w)...)
	}
	if found || w.address == "" {
		return commands
	}
	s, isVacant := vacant(t, taken)
	if !isVacant {
		s = server{name: w.id, status: statusMaintenance, address: w.address}
		commands = append(commands, fmt.Sprintf("add server %s/%s %s", d.backend, w.id, w.address))
	}
	taken[s.name] = true
	return append(commands, d.give(s, w)...)
}

// vacant is a server of the template that nobody has, if there is one: rather one where nothing is in flight any more.
func vacant(t table, taken map[string]bool) (found server, is bool) {
	for _, s := range t.servers {
		if s.release() > 0 || !s.isVacant() || taken[s.name] {
			continue
		}
		if !is || s.sessions < found.sessions {
			found, is = s, true
		}
	}
	return found, is
}

// give has a server answer where the instance does, with its share. A server without one is in maintenance: nothing else
// keeps away the visitors whose cookie names it.
func (d *Driver) give(s server, w wish) (commands []string) {
	if s.address != w.address {
		commands = append(commands, d.off(s)...)
		host, port, _ := net.SplitHostPort(w.address)
		commands = append(commands, fmt.Sprintf("set server %s/%s addr %s port %s", d.backend, s.name, host, port))
	}
	if w.share == 0 {
		return append(commands, d.off(s)...)
	}
	if s.weight != w.share {
		commands = append(commands, fmt.Sprintf("set server %s/%s weight %d", d.backend, s.name, w.share))
	}
	if s.isOff() || s.address != w.address || s.share() == 0 {
		commands = append(commands, fmt.Sprintf("set server %s/%s state ready", d.backend, s.name))
	}
	return commands
}

// off lets a server have no new requests.
func (d *Driver) off(s server) []string {
	if s.isOff() {
		return nil
	}
	return []string{fmt.Sprintf("set server %s/%s state maint", d.backend, s.name)}
}

// isDone says that a table has all wanted shares, and no others.
func isDone(t table, wishes []wish) bool {
	for _, w := range wishes {
		has := slices.ContainsFunc(t.members(), func(s server) bool {
			return w.isOf(s) && s.share() == w.share && (w.address == "" || s.address == w.address)
		})
		if !has && (w.share > 0 || w.address != "") {
			return false
		}
	}
	for _, s := range t.members() {
		wanted := slices.ContainsFunc(wishes, func(w wish) bool { return w.isOf(s) && w.share == s.share() })
		if s.share() > 0 && !wanted {
			return false
		}
	}
	return true
}
