//go:build linux

package caddy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
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
type server struct {
	dir     string
	admin   string // as in the configuration
	address string
	args    []string
	process *exec.Cmd
}

func newCaddy(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), admin: freeAddress(t), address: freeAddress(t), args: args}
	config := fmt.Sprintf(`{"admin": {"listen": %q}, "apps": {"http": {"servers": {"shop": {"listen": [%q], "routes": [{"handle": [
		{"handler": "headers", "response": {"set": {"Via": ["caddy"]}}},
		{"@id": "shop", "handler": "reverse_proxy", "upstreams": []}]}]}}}}}`, s.admin, s.address)
	if err := os.WriteFile(filepath.Join(s.dir, "caddy.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (s *server) Address() string { return s.address }

func (s *server) definition() towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{
		Caddy: &towpath.CaddyBalancer{Admin: "http://" + s.admin, ID: "shop"},
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

// Start starts it, and waits until it takes orders and requests.
func (s *server) Start(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Fatal("this test needs Caddy: make packages, or apt-get install --no-install-recommends caddy")
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(program, append([]string{"run", "--config", filepath.Join(s.dir, "caddy.json")}, s.args...)...)
	s.process.Env = append(os.Environ(), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "XDG_DATA_HOME="+s.dir)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "Caddy answers", func() bool {
		orders, err := http.Get("http://" + s.admin + "/config/")
		if err != nil {
			return false
		}
		orders.Body.Close()
		connection, err := net.Dial("tcp", s.address)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
}

func (s *server) Stop(t *testing.T) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = s.process.Wait() // it was killed
	s.process = nil
	if t.Failed() {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		t.Logf("Caddy said last:\n%s", log[max(0, len(log)-2000):])
	}
}

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
