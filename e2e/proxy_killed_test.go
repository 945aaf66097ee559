//go:build linux

package e2e_test

import (
	"strings"
	"testing"
	"time"
)

func TestAProxyThatIsKilledRefusesNoConnectionAndKnowsItsRoutesAgain(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	random := moments(t)
	kills := 6
	for range kills {
		lets(time.Duration(random.IntN(400)) * time.Millisecond)
		s.proxy.kill()
		s.startProxy()
		s.must(traffic.Settle(t.Context()))
		s.serves("one")
	}

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.serves("two")

	report := traffic.Stop()
	if inFlight := kills * (keptClients + freshClients); report.Failed > inFlight {
		t.Errorf("%d of %d requests failed, with at most %d in flight", report.Failed, report.Requests, inFlight)
	}
	for _, failure := range report.Failures {
		if strings.Contains(failure.Reason, "refused") {
			t.Errorf("a connection was refused: %+v", failure)
		}
	}
	t.Logf("%d of %d requests failed with %d kills", report.Failed, report.Requests, kills)
}

func TestAProxyIsRestartedWithoutALostRequest(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	for range 3 {
		before := s.proxy
		s.startProxy() // on the same folder: it takes over
		select {
		case <-before.exited:
		case <-time.After(stopLimit):
			t.Fatal("the proxy that was replaced does not end")
		}
		s.must(traffic.Settle(t.Context()))
		s.serves("one")
	}
	s.flawless(traffic)
}
