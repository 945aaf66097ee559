package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/dns"
	"github.com/towpath-cd/towpath/internal/balancer/dns/dnstest"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/load"
)

// The names whose addresses move: the environment's, and the one that the benchmark orders about by itself.
const (
	shopName = "www." + dnstest.Zone
	rawName  = "raw." + dnstest.Zone
)

const (
	nameTTL   = time.Second           // how long clients may keep an address
	nameDrain = nameTTL + time.Second // and how long the old side is kept up: what is asked at last takes a while
)

// named is a side whose instances have the same port, and addresses of their own: names know no ports.
type named struct {
	pair
	server *dnstest.Named
	name   string
}

func (n *named) host() string { return n.name }

// places gives each instance the next address of a network of this machine's own.
func places(network int, port string) func(int) []string {
	return func(release int) []string {
		return []string{fmt.Sprintf("BENCH_IP=127.%d.%d.%d", network, release/250, 1+release%250), "PORT=" + port}
	}
}

// updateSide replaces the address by one signed update, which is all that nsupdate(1) would do.
type updateSide struct {
	named
	t dnstest.T
}

func (u *updateSide) move(context.Context) error {
	ip, _, err := net.SplitHostPort(u.now.address)
	if err == nil {
		u.server.Set(u.t, u.name+".", int(nameTTL/time.Second), ip)
	}
	return err
}

// drivenSide gives the orders that a keeper gives.
type drivenSide struct {
	named
	driver          *dns.Driver
	before, serving towpath.Instance
}

func (d *drivenSide) prepare(ctx context.Context) (string, error) {
	if d.before.ID != "" {
		if err := d.does(ctx, deploy.Forget{Instances: []string{d.before.ID}}); err != nil {
			return "", err
		}
	}
	release, err := d.named.prepare(ctx)
	d.before = d.serving
	d.serving = towpath.Instance{ID: towpath.InstanceID(d.releases, d.releases), Release: d.releases, Address: d.now.address}
	return release, err
}

func (d *drivenSide) move(ctx context.Context) error {
	if d.before.ID == "" {
		return d.does(ctx, deploy.Shift{Weights: map[string]int{d.serving.ID: deploy.FullWeight}}, d.serving)
	}
	err := d.does(ctx, deploy.Shift{Weights: map[string]int{d.serving.ID: deploy.FullWeight, d.before.ID: 0}}, d.serving, d.before)
	if err != nil {
		return err
	}
	return d.does(ctx, deploy.Drain{Instances: []string{d.before.ID}, Within: nameDrain}, d.serving, d.before)
}

func (d *drivenSide) does(ctx context.Context, o deploy.Operation, instances ...towpath.Instance) error {
	_, err := d.driver.Do(ctx, deploy.Order{Epoch: towpath.Epoch{Number: 1, Holder: "bench"}, Operation: o, Instances: instances})
	return err
}

// measureSwitchDNS moves traffic by the addresses of a name, by the driver's orders and by bare updates, in turn. It is the driver
// alone, as a name knows no ports: two releases of one environment beside each other need two machines.
func measureSwitchDNS(ctx context.Context, s *stage) (figures []Figure, err error) {
	t := new(sshStage)
	defer t.end(&err)
	server := dnstest.Start(t)
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	driver, err := openDNS(server)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	raw := &updateSide{named{pair{stage: s, name: "raw", place: places(1, port)}, server, rawName}, t}
	driven := &drivenSide{named: named{pair{stage: s, name: "driven", place: places(2, port)}, server, shopName}, driver: driver}
	for _, one := range []side{raw, driven} {
		if _, err := one.prepare(ctx); err != nil {
			return nil, err
		}
		if err := one.move(ctx); err != nil {
			return nil, err
		}
	}
	return byName(server, port).measure(ctx, s, s.rounds(10, 5), raw, driven)
}

func openDNS(server *dnstest.Named) (*dns.Driver, error) {
	return dns.New(dns.Options{
		Environment: environmentKey, Credentials: map[string]string{"DNS_KEY": server.Key()}, Now: time.Now,
		Definition: towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{DNS: &towpath.DNSBalancer{
			Server: server.Address, Zone: dnstest.Zone, Name: shopName, TTL: nameTTL, Key: "DNS_KEY",
		}}},
	})
}

// byName is who asks for the name before each request, and beside them those who ask when they may not keep its address any more.
func byName(server *dnstest.Named, port string) onlookers {
	asks := func(host string, count int, find load.Finder) load.Options {
		return load.Options{Host: host, Find: find, Targets: askedFor, Fresh: count, Timeout: patience, Label: releaseHeader}
	}
	resolvers := map[string]*dnstest.Resolver{}
	for _, name := range []string{rawName, shopName} {
		resolvers[name] = server.NewResolver(name+".", port)
	}
	return onlookers{
		asks: func(host string) load.Options {
			return asks(host, connections, func(ctx context.Context) (string, error) {
				return server.NewResolver(host+".", port).Find(ctx)
			})
		},
		beside: func(host string) load.Options { return asks(host, connections/4, resolvers[host].Find) },
		orders: "a bare update", by: ", by the driver alone", others: "clients that keep an address for as long as they may",
	}
}
