//go:build linux

package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// The keeper knows the proxy by its port and its key alone: the folder of the proxy on its own machine is another one, with
// nothing in it.
func TestAProxyElsewhereMovesTrafficForwardAndBackWithoutAFailureThoughItDies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	far, control := filepath.Join(s.root, "far"), freeAddress(t)
	begin := func() *program {
		return s.start("far", "proxy", "--data", far, "--listen", s.traffic, "--control", control).awaits("towpath proxy: ")
	}
	proxy := begin()
	s.Cleanup(func() { s.endProxy(far, proxy) })
	code, key := start(t, "key", s.root, "proxy", "key", "--data", far).result()
	if code != 0 {
		t.Fatalf("it has no key: %s", key)
	}
	s.startServer("--no-worker")
	s.startWorker()
	repository := s.withSecrets(client.Secret{Name: "PROXY_KEY", Value: strings.TrimSpace(key), Environments: []string{"live"}})
	files := byStrategy("{blue-green: {standby: 10m}}")
	file := strings.Replace(files["towpath.yaml"], `{proxy: {host: "*"}}`, `{proxy: {host: "*", at: "`+control+`", key: PROXY_KEY}}`, 1)
	repository.push(files.with(tree{"towpath.yaml": file}))
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
	s.flawless(traffic)

	proxy.kill()
	proxy = begin()
	s.serves("one")
	repository.push(tree{"version": "three"})
	s.ends(3, "passed")
	s.serves("three")
}

// endProxy ends a proxy that is not the keeper's own, with its holder.
func (s *site) endProxy(folder string, proxy *program) {
	proxy.stop()
	if code, said := start(s, "proxy-stop", s.root, "proxy", "stop", "--data", folder).result(); code != 0 {
		s.Errorf("the proxy's holder does not end: %s", said)
	}
}
