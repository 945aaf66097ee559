//go:build linux

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/balancer/nginx/nginxtest"
)

func TestNginxMovesTrafficForwardAndBackWithoutAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nginx := nginxtest.Start(t)
	s.traffic = nginx.Address
	s.startServer("--no-worker")
	s.startWorker()
	n := nginx.Definition()
	balancer := fmt.Sprintf("{nginx: {upstream: %s, file: %s, test: %q, reload: %q, pid: %s, log: %s}}", n.Upstream, n.File, n.Test, n.Reload, n.PID, n.Log)
	file := strings.ReplaceAll(behindHAProxy["towpath.yaml"], "{haproxy: {socket: SOCKET, backend: shop}}", balancer)
	repository := s.newRepository("app", behindHAProxy.with(tree{"towpath.yaml": file})).watch()
	s.ends(1, "passed")
	s.serves("one")
	traffic := s.asksAnew() // a reload cuts connections that wait for a request

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.serves("two")

	_, err := s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 1", isLive(1))
	s.serves("one")
	s.flawless(traffic)

	nginx.Stop(t)
	nginx.Start(t)
	s.serves("one")
}
