//go:build linux

package caddy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
	"github.com/towpath-cd/towpath/internal/balancer/caddy/caddytest"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// patience bounds whatever a test waits for.
const patience = 30 * time.Second

// storyLimit ends a suite that hangs.
const storyLimit = 5 * time.Minute

// The kernel hands connections that wait for a listener which is closed to its successor, as docs/balancers.md asks for:
// a setting of the network, so that the suite has one of its own.
func TestCaddyKeepsWhatABalancerPromises(t *testing.T) {
	apart.Run(t, map[string]string{"caddy": "caddy", "ip": "iproute2"}, storyLimit, func(t *testing.T, _ apart.Place) {
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_migrate_req", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
		balancertest.Kind{
			New: func(t *testing.T) balancertest.Balancer { return newCaddy(t, "--resume") }, Keeps: true, CutsIdle: true,
			Can: deploy.Capabilities{Weights: 1, Sessions: true, Fencing: true},
		}.Run(t)
	})
}

// server is a Caddy of its own.
type server struct{ *caddytest.Caddy }

func newCaddy(t *testing.T, args ...string) *server {
	t.Helper()
	return &server{caddytest.Start(t, args...)}
}

func (s *server) Address() string { return s.Caddy.Address }

func (s *server) definition() towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{
		Caddy: &towpath.CaddyBalancer{Admin: "http://" + s.Admin, ID: caddytest.ID},
	}}
}

func (s *server) Open(t *testing.T) deploy.Driver {
	t.Helper()
	d, err := New(Options{Environment: "shop/production", Definition: s.definition()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Start starts it.
func (s *server) Start(t *testing.T) { s.Caddy.Start(t) }

// Stop ends it at once.
func (s *server) Stop(t *testing.T) { s.Caddy.Stop(t) }

// WeighByHand takes an upstream out, or puts it in: there is nothing between.
func (s *server) WeighByHand(t *testing.T, i towpath.Instance, weight int) {
	t.Helper()
	upstreams := []upstream{}
	if weight > 0 {
		upstreams = append(upstreams, upstream{i.Address})
	}
	text, err := json.Marshal(upstreams)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Open(t).(*Driver)
	if err := d.admin.replace(t.Context(), "/id/shop/upstreams", "", json.RawMessage(text)); err != nil {
		t.Fatal(err)
	}
}

// Reload loads the configuration that is in force once more.
func (s *server) Reload(t *testing.T) {
	t.Helper()
	d := s.Open(t).(*Driver)
	var config object
	if _, err := d.admin.read(t.Context(), "/config/", &config); err != nil {
		t.Fatal(err)
	}
	config["logging"] = json.RawMessage(fmt.Sprintf(`{"logs": {"default": {"level": "INFO", "include": ["%d"]}}}`, time.Now().UnixNano()))
	if _, err := d.admin.call(t.Context(), http.MethodPost, "/load", "", config, nil); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-ticker.C:
		}
	}
}
