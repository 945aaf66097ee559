//go:build linux

package e2e_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/balancer/caddy/caddytest"
	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// storyLimit ends a story in namespaces of its own that hangs.
const storyLimit = 5 * time.Minute

// byRolling deploys at once, to two processes and one more meanwhile, behind another balancer than HAProxy.
func byRolling(balancer string) tree {
	return behindHAProxy.with(tree{"towpath.yaml": strings.NewReplacer(
		"{haproxy: {socket: SOCKET, backend: shop}}", balancer,
		"{blue-green: {standby: 10m}}", "{rolling: {batch: 1, surge: 1}}",
	).Replace(behindHAProxy["towpath.yaml"])})
}

// Caddy opens its port anew at each change: connections that wait there are handed on by a setting of the network
// (docs/balancers.md), so that the story has one of its own.
func TestCaddyMovesTrafficForwardAndBackWithoutAFailure(t *testing.T) {
	if !apart.Inside(t) {
		t.Parallel()
	}
	apart.Run(t, map[string]string{"caddy": "caddy", "ip": "iproute2", "git": "git"}, storyLimit, func(t *testing.T, _ apart.Place) {
		s := newSite(t)
		s.must(os.WriteFile("/proc/sys/net/ipv4/tcp_migrate_req", []byte("1"), 0))
		caddy := caddytest.Start(t, "--resume")
		s.traffic = caddy.Address
		s.startServer("--no-worker")
		s.startWorker()
		repository := s.newRepository("app", byRolling("{caddy: {admin: 'http://"+caddy.Admin+"', id: shop}}")).watch()
		s.ends(1, "passed")
		s.serves("one")
		traffic := s.asksAnew()

		repository.push(tree{"version": "two"})
		s.ends(2, "passed")
		s.serves("two")

		_, err := s.api.Rollback(s.Context(), "app/live", "the cart is empty")
		s.must(err)
		s.environment("live", "back on release 1", isLive(1))
		s.serves("one")

		repository.push(tree{"version": "three", "mode": "sick"})
		s.ends(3, "failed")
		s.environment("live", "on release 1 still", isLive(1))
		s.serves("one")
		s.flawless(traffic)

		caddy.Stop(t)
		caddy.Start(t)
		s.serves("one")
	})
}
