//go:build linux

package e2e_test

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/balancer/dns/dnstest"
	"github.com/towpath-cd/towpath/internal/load"
)

const (
	shopName = "www." + dnstest.Zone
	// legacyTTL is how long the records of the name live before the first deployment, in seconds.
	legacyTTL = 6
)

// byName is hosts that clients find by a name, whose addresses they keep for two seconds.
func (l *lab) byName(named *dnstest.Named, strategy string) string {
	dns := "{dns: {server: '" + named.Address + "', zone: " + dnstest.Zone + ", name: " + shopName + ", ttl: 2s, key: DNS_KEY}}"
	return strings.NewReplacer(`{proxy: {host: "*"}}`, dns, "drain: 2s", "drain: 6s").Replace(l.file(strategy))
}

// Clients resolve the name anew when they may not keep its addresses any more. It was another site's before, for longer.
func TestANameLeadsToReleasesForwardAndBackWithoutAFailureForThoseWhoKeepToItsTime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l, named := newLab(s, 2), dnstest.Start(t)
	s.startServer("--no-worker")
	s.startWorker()
	legacy := l.legacy(s)
	named.Set(t, shopName+".", legacyTTL, legacy)
	resolver := named.NewResolver(shopName+".", l.port)
	traffic := s.asksBy(load.Options{Host: shopName, Find: resolver.Find, Fresh: keptClients + freshClients})

	repository := s.withSecrets(client.Secret{Name: "DNS_KEY", Value: named.Key(), Environments: []string{"live"}})
	repository.push(onHosts.with(tree{"towpath.yaml": l.byName(named, "rolling")}))
	s.ends(1, "passed")
	l.allRun(s, "r1")
	s.namedOnly(named, l)
	s.waitsForOldAddresses(legacyTTL * time.Second)

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	l.allRun(s, "r2")
	s.foundAt(resolver, "two")

	plan, err := s.api.Plan(s.Context(), "app/live", 1)
	s.must(err)
	const sees = "those that have asked for " + shopName + " may reach release 2 for up to 2s after it has left, and it stays up for 6s"
	if !strings.Contains(plan.Text, sees) || !strings.Contains(plan.Clients, sees) {
		t.Errorf("the plan says\n%s", plan.Text)
	}

	_, err = s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 1", isLive(1))
	l.allRun(s, "r1")
	s.foundAt(resolver, "one")
	s.flawless(traffic)
}

// legacy runs the application at an address that is none of the hosts', and answers that.
func (l *lab) legacy(s *site) string {
	s.Helper()
	ip := l.hosts[0].IP[:strings.LastIndex(l.hosts[0].IP, ".")] + ".250"
	command := exec.Command(application())
	command.Dir = s.root
	command.Env = []string{"HOST=" + ip, "PORT=" + l.port, "TOWPATH_RELEASE=legacy"}
	s.must(command.Start())
	s.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	until(s, "the other site answers", func() bool {
		response, err := http.Get("http://" + net.JoinHostPort(ip, l.port) + "/healthz")
		return err == nil && response.Body.Close() == nil
	})
	return ip
}

// namedOnly checks that the name has the hosts' addresses and no other, for as long as the pipeline file says.
func (s *site) namedOnly(named *dnstest.Named, l *lab) {
	s.Helper()
	answered := strings.Join(named.Addresses(shopName+"."), ", ")
	for _, h := range l.hosts {
		if !strings.Contains(answered, h.IP+" for 2") {
			s.Errorf("clients are told %s", answered)
		}
	}
	if count := strings.Count(answered, " for "); count != len(l.hosts) {
		s.Errorf("clients are told %d addresses: %s", count, answered)
	}
}

// waitsForOldAddresses checks that traffic moved as long after the records were made shorter as these may have been kept.
func (s *site) waitsForOldAddresses(kept time.Duration) {
	s.Helper()
	all, err := s.api.Deployments(s.Context(), "app/live")
	s.must(err)
	history, err := s.api.History(s.Context(), "app/live", all[len(all)-1].ID)
	s.must(err)
	var shortened, moved time.Time
	for _, e := range history.Journal {
		switch {
		case strings.HasPrefix(e.Operation, "shorten"):
			shortened = e.Began
		case strings.HasPrefix(e.Operation, "shift") && moved.IsZero():
			moved = e.Began
		}
	}
	if shortened.IsZero() || moved.Sub(shortened) < kept {
		s.Errorf("shortened at %s, moved at %s: %+v", shortened, moved, history.Journal)
	}
}

// foundAt checks which version those find who ask for the name now.
func (s *site) foundAt(resolver *dnstest.Resolver, version string) {
	s.Helper()
	address, err := resolver.Find(s.Context())
	s.must(err)
	response, err := http.Get("http://" + address)
	s.must(err)
	defer response.Body.Close()
	if got := response.Header.Get("X-Version"); got != version {
		s.Errorf("%s serves version %q, not %q", address, got, version)
	}
}
