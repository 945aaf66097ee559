//go:build linux

package fleet

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// The story's network: one switch, the story's own address on it, and the hosts' after it.
const (
	bridge  = "switch"
	story   = "10.77.0.1"
	subnet  = "10.77.0.%d/24"
	firstIP = 11
)

// cuts is the table of what the switch does not let through (nft(8), bridge family). Lines come and go with Partition.
const cuts = `
table bridge cuts {
	chain forward { type filter hook forward priority 0; }
	chain input { type filter hook input priority 0; }
	chain output { type filter hook output priority 0; }
}`

// network is the switch. It stands in the story's own network, so that nothing of the machine's is touched, and the story
// reaches the hosts as a program on the same network would.
type network struct{}

func newNetwork(ctx context.Context) (network, error) {
	for _, args := range [][]string{
		{"mount", "-t", "tmpfs", "tmpfs", "/run"}, // what ip and nspawn leave there ends with the story
		{"mkdir", "/run/netns"},
		{"ip", "link", "add", bridge, "type", "bridge"},
		{"ip", "address", "add", fmt.Sprintf(subnet, 1), "dev", bridge},
		{"ip", "link", "set", bridge, "up"},
	} {
		if err := run(ctx, args[0], args[1:]...); err != nil {
			return network{}, err
		}
	}
	return network{}, network{}.rules(ctx, cuts)
}

// rules gives nft a script.
func (network) rules(ctx context.Context, script string) error {
	c := command(ctx, "nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	_, err := output(c)
	return err
}

// plug connects a host, which has a network of its own with one card in it.
func (network) plug(ctx context.Context, h *Host) error {
	if err := run(ctx, "ip", "netns", "add", h.Name); err != nil {
		return err
	}
	if err := run(ctx, "ip", "link", "add", h.port(), "type", "veth", "peer", "name", card, "netns", h.Name); err != nil {
		return err
	}
	if err := run(ctx, "ip", "link", "set", h.port(), "master", bridge, "up"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ip", "address", "add", h.Address + "/24", "dev", card},
		{"ip", "link", "set", card, "up"},
		{"ip", "link", "set", "lo", "up"},
	} {
		if _, err := output(h.onItsNetwork(ctx, args[0], args[1:]...)); err != nil {
			return err
		}
	}
	return nil
}

// card is the name of a host's network card.
const card = "host0"

// port is where a host is plugged in, on the switch.
func (h *Host) port() string { return "port-" + h.Name }

// link switches the host's port on the switch on ("up") or off ("down").
func (h *Host) link(ctx context.Context, state string) error {
	return run(ctx, "ip", "link", "set", h.port(), state)
}

// onItsNetwork is a command with the machine's files that has a host's network, also while the host is down. (`ip netns
// exec` would mount another /sys, and hide the control groups.)
func (h *Host) onItsNetwork(ctx context.Context, program string, args ...string) *exec.Cmd {
	return command(ctx, "nsenter", append([]string{"--net=/run/netns/" + h.Name, program}, args...)...)
}

// Partition lets nothing through between two hosts any more, in either direction; connections stay open and hear nothing.
func (f *Fleet) Partition(a, b *Host) {
	f.t.Helper()
	f.must("part "+a.Name+" from "+b.Name, f.network.rules(f.t.Context(), fmt.Sprintf(`
		add rule bridge cuts forward iifname %[1]q oifname %[2]q drop
		add rule bridge cuts forward iifname %[2]q oifname %[1]q drop`, a.port(), b.port())))
}

// Isolate lets nothing through between a host and everybody else, the story too.
func (h *Host) Isolate() {
	h.fleet.t.Helper()
	var script strings.Builder
	for _, rule := range []string{"forward iifname", "forward oifname", "input iifname", "output oifname"} {
		fmt.Fprintf(&script, "add rule bridge cuts %s %q drop\n", rule, h.port())
	}
	h.must("isolate", h.fleet.network.rules(h.fleet.t.Context(), script.String()))
}

// Heal lets everything through again.
func (f *Fleet) Heal() {
	f.t.Helper()
	f.must("heal the network", f.network.rules(f.t.Context(), "flush table bridge cuts"))
}

// SlowDown lets so many bits a second through to a host, and from it.
func (h *Host) SlowDown(bits int) {
	h.fleet.t.Helper()
	ctx := h.fleet.t.Context()
	shape := []string{"qdisc", "replace", "dev", h.port(), "root", "tbf", "rate", fmt.Sprint(bits), "burst", "32kbit", "latency", "400ms"}
	h.must("slow down", run(ctx, "tc", shape...))
	shape[3] = card
	_, err := output(h.onItsNetwork(ctx, "tc", shape...))
	h.must("slow down", err)
}

// SpeedUp undoes SlowDown.
func (h *Host) SpeedUp() {
	h.fleet.t.Helper()
	ctx := h.fleet.t.Context()
	h.must("speed up", run(ctx, "tc", "qdisc", "delete", "dev", h.port(), "root"))
	_, err := output(h.onItsNetwork(ctx, "tc", "qdisc", "delete", "dev", card, "root"))
	h.must("speed up", err)
}
