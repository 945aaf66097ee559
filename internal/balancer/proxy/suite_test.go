package proxy

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func TestTheProxyKeepsWhatABalancerPromises(t *testing.T) {
	balancertest.Kind{
		New: newRestartable, Keeps: true, Counts: true, Streams: true,
		Can: deploy.Capabilities{Weights: deploy.FullWeight, Sticky: true, Sessions: true, Fencing: true},
	}.Run(t)
}

// restartable is a proxy that may be stopped and started.
type restartable struct {
	folder  string
	address string
	stop    context.CancelFunc
	ended   chan error
}

func newRestartable(t *testing.T) balancertest.Balancer {
	t.Helper()
	folder, err := os.MkdirTemp("", "proxy") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	r := &restartable{folder: folder, address: "127.0.0.1:0"}
	r.Start(t)
	t.Cleanup(func() { r.Stop(t) })
	return r
}

func (r *restartable) Address() string { return r.address }

func (r *restartable) Open(t *testing.T) deploy.Driver {
	t.Helper()
	d, err := New(Options{Environment: shop, DataDir: r.folder, Definition: towpath.EnvironmentDefinition{
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (r *restartable) Start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan control.State, 1), make(chan error, 1)
	go func() {
		ended <- proxy.Run(ctx, proxy.Options{
			DataDir: r.folder, Listen: []string{r.address}, Logger: slog.New(slog.DiscardHandler),
			Stop:  proxy.Clocks{Idle: time.Millisecond, Requests: time.Millisecond, Streams: time.Millisecond},
			Ready: func(s control.State) { ready <- s },
		})
	}()
	select {
	case state := <-ready:
		r.stop, r.ended, r.address = stop, ended, state.Listeners[0].Address
	case err := <-ended:
		stop()
		t.Fatal(err)
	}
}

func (r *restartable) Stop(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil // it may be stopped twice
}

func (r *restartable) WeighByHand(t *testing.T, i towpath.Instance, weight int) {
	t.Helper()
	hand := control.New(control.Options{DataDir: r.folder})
	defer hand.Close()
	state, err := hand.Route(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hand.SetWeights(t.Context(), state.Epoch, shop, weightsOf(state, i.ID, weight)); err != nil {
		t.Fatal(err)
	}
}

// weightsOf are those of all backends, with another one for one of them.
func weightsOf(state control.RouteState, id string, weight int) map[string]int {
	weights := make(map[string]int)
	for _, b := range state.Backends {
		weights[b.ID] = b.Weight
	}
	weights[id] = weight
	return weights
}
