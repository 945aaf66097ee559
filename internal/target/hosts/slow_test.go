//go:build linux

package hosts_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	machines "github.com/towpath-cd/towpath/internal/fleet"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/target/hosts"
)

// answering is an application of one file, that of a HAProxy which answers its release.
const answering = `
defaults
	mode http
	timeout client 30s
	timeout server 30s
	timeout connect 5s
frontend shop
	bind :8000
	http-request return status 200 content-type text/plain string %d
`

const answeringUnit = `
[Service]
ExecStart=/usr/sbin/haproxy -db -f /srv/shop/current/haproxy.cfg
Restart=always
`

// openMachines is a fleet on hosts with systemd and disks of their own, with nothing placed yet.
func openMachines(t *testing.T, m *machines.Fleet) *fleet {
	t.Helper()
	f := &fleet{T: t, epoch: towpath.Epoch{Number: 3, Holder: "worker-1/a"}, files: map[string]string{}}
	target := &towpath.HostsTarget{Path: "/srv/shop", Port: 8000, Restart: "systemctl restart shop", Stop: "systemctl stop shop"}
	for _, h := range m.Hosts {
		h.Write("/etc/systemd/system/shop.service", answeringUnit, 0o644)
		h.Run("systemctl daemon-reload")
		target.Hosts = append(target.Hosts, towpath.Host{Name: h.Name, User: "root"})
	}
	f.definition = towpath.EnvironmentDefinition{
		Name: "production", Target: towpath.TargetDefinition{Hosts: target},
		Health: towpath.HealthDefinition{HTTP: "/", Release: "/", Interval: 20 * time.Millisecond, Timeout: 5 * time.Second},
	}
	home := t.TempDir()
	settings, err := os.ReadFile(m.SSHConfig)
	if err := errors.Join(err, os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.WriteFile(filepath.Join(home, ".ssh", "config"), settings, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.Driver, err = hosts.New(hosts.Options{
		Environment: "shop/production", Definition: f.definition, DataDir: t.TempDir(), SSH: ssh.Options{Home: home, Login: "root"},
		Files: layOut(f.files), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// answers checks which release every host answers with.
func (f *fleet) answers(m *machines.Fleet, release int) {
	f.Helper()
	for _, h := range m.Hosts {
		answer, err := http.Get("http://" + h.Name + ":8000/")
		if err != nil {
			f.Error(err)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if got := strings.TrimSpace(string(body)); err != nil || got != fmt.Sprint(release) {
			f.Errorf("%s answers %q, not %d: %v", h.Name, got, release, err)
		}
	}
}

// A disk of 50 kB a second would take more than a minute for what is sent.
func TestASlowDiskHoldsUpNobodyPastTheDeadlineAndIsTold(t *testing.T) {
	machines.Run(t, 2, func(t *testing.T, m *machines.Fleet) {
		f := openMachines(t, m)
		f.files["haproxy.cfg"] = fmt.Sprintf(answering, 42)
		f.deploys(42, 1)
		f.answers(m, 42)

		f.files["haproxy.cfg"], f.files["ballast"] = fmt.Sprintf(answering, 43), strings.Repeat(rand.Text(), 150_000)
		f.of(43)
		ids, slots := f.ids(3)
		seen := f.observes()
		fast := m.Hosts[1].SlowDisk(50_000)
		const limit = 16 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began := time.Now()
		_, err := f.Do(ctx, deploy.Order{
			Epoch: f.epoch, Operation: deploy.Place{Release: 43, Instances: ids, Slots: slots}, Release: f.release, Instances: seen.Instances,
		})
		took := time.Since(began)
		if _, isUnknown := errors.AsType[*deploy.UnknownOutcome](err); !isUnknown || !strings.HasPrefix(err.Error(), "outcome unknown: "+m.Hosts[1].Name) {
			t.Fatalf("%T %v", err, err)
		}
		// What waits for the disk answers the watchdog after that.
		if said := err.Error(); !strings.Contains(said, "did not end within 8 s") && !strings.Contains(said, "look at its disk and its load") {
			t.Errorf("it is not told why: %v", err)
		}
		if took > limit+5*time.Second {
			t.Errorf("an order of %s took %s", limit, took)
		}
		f.answers(m, 42)
		if i := f.sees(ids[1]); i.ID != "" {
			t.Errorf("it is half there: %+v", i)
		}
		t.Logf("after %s: %v", took, err)

		fast()
		f.deploys(43, 3)
		f.answers(m, 43)
	})
}
