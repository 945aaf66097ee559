package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// openElsewhere opens a driver of a proxy that is reached by its control port only.
func openElsewhere(at, key string) (*Driver, error) {
	return New(Options{
		Environment: shop, Credentials: map[string]string{"PROXY_KEY": key},
		Definition: towpath.EnvironmentDefinition{
			Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "*", At: at, Key: "PROXY_KEY"}},
		},
	})
}

// newElsewhere answers a proxy that is spoken to as from another machine.
func newElsewhere(t *testing.T, keyOf func(folder string) string) *machine {
	t.Helper()
	return newMachineWith(t, func(folder string, s control.State) *Driver {
		d, err := openElsewhere(s.ControlAddress, keyOf(folder))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	})
}

func ownKey(t *testing.T) func(folder string) string {
	return func(folder string) string {
		key, err := proxy.Key(context.Background(), folder, false)
		if err != nil {
			t.Fatal(err)
		}
		return key.String()
	}
}

func TestAProxyOnAnotherMachineTakesTheSameOrders(t *testing.T) {
	m := newElsewhere(t, ownKey(t))
	old, fresh := m.instance("r41-1", nil), m.instance("r42-2", nil)
	m.does(deploy.Shift{Weights: map[string]int{"r41-1": deploy.FullWeight}}, old)
	m.does(deploy.Shift{Weights: map[string]int{"r41-1": 0, "r42-2": deploy.FullWeight}}, old, fresh)
	m.does(deploy.Drain{Instances: []string{"r41-1"}, Within: time.Minute}, old)
	m.does(deploy.Forget{Instances: []string{"r41-1"}}, old)
	seen, err := m.Observe(t.Context())
	if err != nil || len(seen.Instances) != 1 || seen.Instances[0].ID != "r42-2" || seen.Epoch != epoch || seen.Address != m.address {
		t.Errorf("%+v, %v", seen, err)
	}
	stale := deploy.Order{Epoch: towpath.Epoch{Number: 6, Holder: "before"}, Operation: deploy.Shift{Weights: map[string]int{"r42-2": 0}}, Instances: []towpath.Instance{fresh}}
	if _, err := m.Do(t.Context(), stale); !errors.As(err, new(*deploy.StaleEpoch)) {
		t.Errorf("an earlier keeper: %v", err)
	}
}

func TestAnotherProxyThanThatOfTheKeyIsGivenNoOrder(t *testing.T) {
	other := newMachine(t)
	m := newElsewhere(t, func(string) string { return ownKey(t)(t.TempDir()) })
	instance := m.instance("r41-1", nil)
	_, err := m.Do(t.Context(), deploy.Order{
		Epoch: epoch, Operation: deploy.Shift{Weights: map[string]int{"r41-1": 100}}, Instances: []towpath.Instance{instance},
	})
	if !errors.As(err, new(*deploy.Permanent)) || !strings.Contains(err.Error(), "towpath proxy key") {
		t.Errorf("%v", err)
	}
	if seen, err := other.Observe(t.Context()); err != nil || len(seen.Instances) > 0 {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestAProxyThatIsNotThereIsToldWithWhereItShouldBe(t *testing.T) {
	d, err := openElsewhere("127.0.0.1:1", ownKey(t)(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Observe(t.Context()); !errors.As(err, new(*deploy.Retryable)) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v", err)
	}
	if _, err := openElsewhere("127.0.0.1:1", "hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a key that is none: %v", err)
	}
}
