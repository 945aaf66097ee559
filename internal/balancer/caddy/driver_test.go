//go:build linux

package caddy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

var epoch = towpath.Epoch{Number: 7, Holder: "keeper"}

// instance is one that nobody asks anything.
func instance(release, serial int, address string) towpath.Instance {
	return towpath.Instance{ID: towpath.InstanceID(release, serial), Release: release, Address: address}
}

func order(e towpath.Epoch, o deploy.Operation, instances ...towpath.Instance) deploy.Order {
	return deploy.Order{Epoch: e, Operation: o, Instances: instances}
}

func does(t *testing.T, d deploy.Driver, o deploy.Operation, instances ...towpath.Instance) {
	t.Helper()
	if _, err := d.Do(t.Context(), order(epoch, o, instances...)); err != nil {
		t.Fatalf("%s: %v", o, err)
	}
}

// seen is what the driver sees, a line a member.
func seen(t *testing.T, d deploy.Driver) string {
	t.Helper()
	observation, err := d.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, i := range observation.Instances {
		lines = append(lines, fmt.Sprintf("%s %s %d", i.ID, i.Address, i.Traffic.Weight))
	}
	return strings.Join(lines, ", ")
}

func saw(t *testing.T, d deploy.Driver, want string) {
	t.Helper()
	if got := seen(t, d); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatAPersonConfiguredStays(t *testing.T) {
	s := newCaddy(t)
	d := s.Open(t).(*Driver)
	by := json.RawMessage(`[{"dial": "10.0.0.1:80", "max_requests": 9}]`)
	if err := d.admin.replace(t.Context(), "/id/shop/upstreams", "", by); err != nil {
		t.Fatal(err)
	}
	saw(t, d, "10.0.0.1:80 10.0.0.1:80 100")
	one, two := instance(1, 1, "10.0.0.1:80"), instance(2, 2, "10.0.0.2:80")
	does(t, d, deploy.Shift{Weights: map[string]int{one.ID: 100, two.ID: 100}}, one, two)
	saw(t, d, "r1-1 10.0.0.1:80 100, r2-2 10.0.0.2:80 100")
	var handlers []object
	if _, err := d.admin.read(t.Context(), "/config/apps/http/servers/shop/routes/1/handle", &handlers); err != nil {
		t.Fatal(err)
	}
	text := string(mustMarshal(handlers))
	for _, kept := range []string{`"max_requests":9`, `"Via":["caddy"]`} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is gone: %s", kept, text)
		}
	}
}

func TestWhoTakesAPlaceIsTheMemberThere(t *testing.T) {
	s := newCaddy(t)
	d := s.Open(t)
	old, next := instance(1, 1, "10.0.0.1:80"), instance(2, 2, "10.0.0.1:80")
	does(t, d, deploy.Shift{Weights: map[string]int{old.ID: 100}}, old)
	does(t, d, deploy.Shift{Weights: map[string]int{old.ID: 0}}, old)
	saw(t, d, "r1-1 10.0.0.1:80 0")
	does(t, d, deploy.Shift{Weights: map[string]int{old.ID: 0, next.ID: 100}}, old, next)
	saw(t, d, "r2-2 10.0.0.1:80 100")
	does(t, d, deploy.Forget{Instances: []string{old.ID}}, old)
	saw(t, d, "r2-2 10.0.0.1:80 100")
}

// Many keepers give orders at once. Whatever their order was, the one of the last epoch stands.
func TestOneEpochWins(t *testing.T) {
	s := newCaddy(t)
	var keepers sync.WaitGroup
	const last = 9
	failed := make(chan error, 100)
	for number := range uint64(last + 1) {
		keepers.Go(func() {
			i := instance(1, int(number)+1, fmt.Sprintf("10.0.0.%d:80", number+1))
			e := towpath.Epoch{Number: number, Holder: "keeper"}
			d := s.Open(t)
			for {
				_, err := d.Do(t.Context(), order(e, deploy.Shift{Weights: map[string]int{i.ID: 100}}, i))
				var again *deploy.Retryable
				var stale *deploy.StaleEpoch
				if errors.As(err, &again) || errors.As(err, new(*deploy.UnknownOutcome)) {
					continue // somebody else was faster; Caddy ends connections at each load
				}
				if err != nil && (!errors.As(err, &stale) || number == last) {
					failed <- err
				}
				return
			}
		})
	}
	keepers.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	observation, err := s.Open(t).Observe(t.Context())
	if err != nil || observation.Epoch.Number != last {
		t.Errorf("%+v, %v", observation.Epoch, err)
	}
	for _, i := range observation.Instances {
		if (i.ID == "r1-10") != (i.Traffic.Weight > 0) {
			t.Errorf("%s has a weight of %d", i.ID, i.Traffic.Weight)
		}
	}
}

func TestACaddyThatForgotIsSeenToHaveBegunAnew(t *testing.T) {
	s := newCaddy(t) // without --resume it comes back with its file
	d := s.Open(t)
	one := instance(1, 1, "10.0.0.1:80")
	does(t, d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	s.Stop(t)
	s.Start(t)
	observation, err := d.Observe(t.Context())
	if err != nil || !observation.Renewed || len(observation.Instances) != 0 {
		t.Errorf("%+v, %v", observation, err)
	}
	does(t, d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	if observation, err = d.Observe(t.Context()); err != nil || observation.Renewed || observation.Address != s.Address() {
		t.Errorf("%+v, %v", observation, err)
	}
}

func TestAHandlerThatIsNotThereIsToldWithWhatWouldHelp(t *testing.T) {
	s := newCaddy(t)
	definition := s.definition()
	definition.Balancer.Caddy.ID = "elsewhere"
	d, err := New(Options{Environment: "shop/production", Definition: definition})
	if err != nil {
		t.Fatal(err)
	}
	var permanent *deploy.Permanent
	if _, err := d.Observe(t.Context()); !errors.As(err, &permanent) || !strings.Contains(err.Error(), `"@id": "elsewhere"`) {
		t.Errorf("%v", err)
	}
}

func TestOrdersGoThroughASocketToo(t *testing.T) {
	s := newCaddy(t)
	socket := s.File("admin.sock")
	d := s.Open(t).(*Driver)
	if _, err := d.admin.call(t.Context(), "POST", "/config/admin", "", map[string]string{"listen": "unix/" + socket}, nil); err != nil {
		t.Fatal(err)
	}
	definition := s.definition()
	definition.Balancer.Caddy.Admin = "unix://" + socket
	through, err := New(Options{Environment: "shop/production", Definition: definition})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it answers there", func() bool {
		_, err := through.Observe(t.Context())
		_, isAway := errors.AsType[*deploy.Retryable](err)
		if err != nil && !isAway {
			t.Fatal(err)
		}
		return err == nil
	})
	one := instance(1, 1, "10.0.0.1:80")
	does(t, through, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	saw(t, through, "r1-1 10.0.0.1:80 100")
	for _, wrong := range []string{"localhost:2019", "https://", "unix://"} {
		definition.Balancer.Caddy.Admin = wrong
		if _, err := New(Options{Definition: definition}); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
