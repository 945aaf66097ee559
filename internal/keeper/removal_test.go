//go:build unix

package keeper_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func TestARemovedEnvironmentLeavesNothingAndComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	s.goes(s.release("one"))
	s.goes(s.release("two"))
	if standing := s.standing(); len(standing) != 4 {
		t.Fatalf("%q stand there, of two instances", standing)
	}
	s.removes()
	s.ends("removal", towpath.DeploymentRemoved)
	if standing := s.standing(); len(standing) > 0 {
		t.Errorf("%q were left", standing)
	}
	proxy := control.New(control.Options{DataDir: s.ProxyDir})
	defer proxy.Close()
	if route, err := proxy.Route(t.Context(), "shop/production"); err != nil || len(route.Backends) > 0 {
		t.Errorf("the proxy still has %+v, %v", route.Backends, err)
	}
	s.goes(s.release("three"))
	if said := s.says(); said != "three" {
		t.Errorf("it answers %q", said)
	}
}

func (s *site) removes() {
	s.t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.happens(towpath.RemovalRequested{ID: "removal", By: "ana", At: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
}
