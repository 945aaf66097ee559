package haproxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
	"github.com/towpath-cd/towpath/internal/balancer/haproxy/haproxytest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// kind is HAProxy as the suite knows it.
func kind(begin func(t *testing.T) balancertest.Balancer) balancertest.Kind {
	return balancertest.Kind{
		New: begin, Counts: true, Streams: true, Can: deploy.Capabilities{Weights: deploy.FullWeight, Sessions: true},
	}
}

func TestATemplateKeepsWhatABalancerPromises(t *testing.T) {
	kind(func(t *testing.T) balancertest.Balancer {
		return templated{added{haproxytest.Start(t, 4, "option redispatch", "cookie S insert indirect nocache dynamic", "dynamic-cookie-key k")}}
	}).Run(t)
}

func TestServersThatAreAddedKeepWhatABalancerPromises(t *testing.T) {
	kind(func(t *testing.T) balancertest.Balancer { return added{haproxytest.Start(t, 0)} }).Run(t)
}

// added is a backend whose servers are added at run time, of which a reload leaves none.
type added struct{ haproxy *haproxytest.HAProxy }

// templated is a backend whose servers are those of its template, with their state kept over a reload.
type templated struct{ added }

func (a added) Address() string    { return a.haproxy.Address }
func (a added) Stop(t *testing.T)  { a.haproxy.Stop(t) }
func (a added) Start(t *testing.T) { a.haproxy.Start(t) }

func (a added) Open(t *testing.T) deploy.Driver {
	t.Helper()
	return open(t, a.haproxy.Socket)
}

func (a added) WeighByHand(t *testing.T, i towpath.Instance, weight int) {
	t.Helper()
	name := a.haproxy.ServerAt(t, i.Address)
	a.haproxy.Tell(t, fmt.Sprintf("set server %s/%s weight %d", haproxytest.Backend, name, weight))
}

func (a templated) Reload(t *testing.T) { a.haproxy.Reload(t) }

// open makes a driver of one HAProxy, or of several.
func open(t *testing.T, sockets ...string) *Driver {
	t.Helper()
	d, err := New(Options{Environment: "shop/production", Definition: towpath.EnvironmentDefinition{
		Drain:    towpath.DrainDefinition{Requests: 30 * time.Second, Streams: time.Minute},
		Balancer: towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{Sockets: sockets, Backend: haproxytest.Backend}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
