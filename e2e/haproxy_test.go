//go:build linux

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/balancer/haproxy/haproxytest"
)

// behindHAProxy deploys at once, to an environment whose traffic HAProxy moves.
var behindHAProxy = tree{
	"towpath.yaml": `
pipeline: app
steps:
  - build: app
    run: mkdir dist && cp APP version mode dist/
    artifacts: dist/
  - deploy: live
environments:
  live:
    instances: 2
    target: {process: {command: ./app}}
    strategy: {blue-green: {standby: 10m}}
    balancer: {haproxy: {socket: SOCKET, backend: shop}}
    health: {http: /healthz, release: /release, interval: 50ms}
    drain: 2s
`,
	"version": "one",
	"mode":    "well",
}

func TestHAProxyMovesTrafficForwardAndBackWithoutAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	haproxy := haproxytest.Start(t, 8, "option redispatch")
	s.traffic = haproxy.Address
	s.startServer("--no-worker")
	s.startWorker()
	file := strings.ReplaceAll(behindHAProxy["towpath.yaml"], "SOCKET", haproxy.Socket)
	repository := s.newRepository("app", behindHAProxy.with(tree{"towpath.yaml": file})).watch()
	s.ends(1, "passed")
	s.serves("one")
	traffic := s.asks()

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.serves("two")

	_, err := s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 1", isLive(1))
	s.serves("one")

	haproxy.Reload(t)
	s.serves("one")
	repository.push(tree{"version": "three"})
	s.ends(3, "passed")
	s.serves("three")
	s.flawless(traffic)

	haproxy.Stop(t)
	haproxy.Start(t)
	until(s, "HAProxy serves again after a start", func() bool {
		response, err := http.Get("http://" + s.traffic)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.Header.Get("X-Version") == "three"
	})
}
