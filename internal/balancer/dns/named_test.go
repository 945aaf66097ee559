package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/dns/dnstest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// patience bounds whatever a test waits for.
const patience = 30 * time.Second

// named is a BIND with a zone that takes updates.
type named struct {
	*testing.T
	*dnstest.Named
	now time.Time
}

func newNamed(t *testing.T) *named {
	t.Helper()
	return &named{T: t, Named: dnstest.Start(t), now: time.Unix(1_800_000_000, 0)}
}

// answers checks what clients are given for the environment's name.
func (n *named) answers(want ...string) {
	n.Helper()
	if got := n.Addresses("www.shop.test."); strings.Join(got, ", ") != strings.Join(want, ", ") {
		n.Errorf("clients get %v, want %v", got, want)
	}
}

func (n *named) definition() towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{DNS: &towpath.DNSBalancer{
		Server: n.Address, Zone: "shop.test", Name: "www.shop.test", TTL: time.Minute, Key: "DNS_KEY",
	}}}
}

func (n *named) open() *Driver { return n.openWith(n.Key()) }

func (n *named) openWith(key string) *Driver {
	n.Helper()
	d, err := New(Options{
		Environment: "shop/production", Definition: n.definition(), Credentials: map[string]string{"DNS_KEY": key},
		Now: func() time.Time { return n.now },
	})
	if err != nil {
		n.Fatal(err)
	}
	return d
}

var epoch = towpath.Epoch{Number: 7, Holder: "keeper 1/2"}

func instance(release, serial int, address string) towpath.Instance {
	return towpath.Instance{ID: towpath.InstanceID(release, serial), Release: release, Address: address}
}

func (n *named) try(d *Driver, e towpath.Epoch, o deploy.Operation, instances ...towpath.Instance) (deploy.Receipt, error) {
	return d.Do(n.Context(), deploy.Order{Epoch: e, Operation: o, Instances: instances})
}

func (n *named) does(d *Driver, o deploy.Operation, instances ...towpath.Instance) deploy.Receipt {
	n.Helper()
	receipt, err := n.try(d, epoch, o, instances...)
	if err != nil {
		n.Fatalf("%s: %v", o, err)
	}
	return receipt
}

// saw checks what the driver sees, a word a member.
func (n *named) saw(d *Driver, want string) towpath.Observation {
	n.Helper()
	seen, err := d.Observe(n.Context())
	if err != nil {
		n.Fatal(err)
	}
	var lines []string
	for _, i := range seen.Instances {
		lines = append(lines, fmt.Sprintf("%s=%s:%d:%t", i.ID, i.Address, i.Traffic.Weight, i.Traffic.IsIdle()))
	}
	if got := strings.Join(lines, " "); got != want {
		n.Errorf("%q, want %q", got, want)
	}
	return seen
}
