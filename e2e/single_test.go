//go:build linux

package e2e_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// clock is a process of which only one may run: it holds a lock, as does what it starts, and notes when another has it.
const clock = `exec 9>>"$LOCK"
flock -n 9 || { echo "of release $TOWPATH_RELEASE" >>"$LOCK.overlapped"; exit 1; }
sleep 1000 &
trap 'sleep 0.1; exit 0' TERM
echo "$TOWPATH_RELEASE" >>"$LOCK.begun"
while :; do sleep 0.02; done
`

// withClock has a single process and an ordinary one beside the web process.
func (s *site) withClock() tree {
	file := byStrategy("{blue-green: {standby: 10m}}")["towpath.yaml"]
	file = strings.Replace(file, "version mode dist/", "version mode clock dist/", 1)
	return behindHAProxy.with(tree{"clock": clock, "towpath.yaml": file + `    env: {LOCK: ` + s.root + `/lock}
    processes:
      jobs: {command: "while :; do sleep 0.05; done", stop: {signal: KILL}}
      clock: {command: sh ./clock, single: true, stop: {within: 20s}}
`})
}

// TestASingleProcessNeverOverlapsWithItsSuccessor deploys and goes back, with the worker killed in between.
func TestASingleProcessNeverOverlapsWithItsSuccessor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.newRepository("app", s.withClock()).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	began := []string{"1"}
	for release := 2; release <= 5; release++ {
		if release == 4 {
			s.worker.kill()
			s.startWorker()
		}
		repository.push(tree{"version": "version " + strconv.Itoa(release)})
		s.ends(release, "passed")
		began = append(began, strconv.Itoa(release))
		s.ticks(began)
	}
	_, err := s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 4", isLive(4))
	s.ticks(append(began, "4"))
	s.flawless(traffic)
	if overlapped, err := os.ReadFile(s.root + "/lock.overlapped"); !os.IsNotExist(err) {
		t.Errorf("it overlapped: %s %v", overlapped, err)
	}
}

// ticks says of which releases the clock began, one after the other.
func (s *site) ticks(releases []string) {
	s.Helper()
	want := strings.Join(releases, "\n") + "\n"
	until(s, "the clock began as "+want, func() bool {
		got, _ := os.ReadFile(s.root + "/lock.begun")
		return string(got) == want
	})
}
