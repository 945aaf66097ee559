//go:build linux

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readyLimit is how soon a server has to answer after its start. Two seconds are promised; the rest is for a machine
// that does other things as well.
const readyLimit = 5 * time.Second

// moments are the seeded random times at which a story strikes, which it tells so that they can be had again.
func moments(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// lets time pass: the moment at which a story strikes is no event that it could wait for.
func lets(pass time.Duration) { <-time.After(pass) }

// crashServer kills the server, and starts it again, which has to be quick.
func (s *site) crashServer(flags ...string) {
	s.Helper()
	s.server.kill()
	began := time.Now()
	s.startServer(flags...)
	if took := time.Since(began); took > readyLimit {
		s.Errorf("the server was ready after %s", took)
	} else {
		s.Logf("ready after %s", took.Round(time.Millisecond))
	}
}

func TestAServerThatIsKilledDuringAStepLosesNothingOfIt(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	began := filepath.Join(s.root, "began")
	const lines = 120
	s.newRepository("app", tree{"towpath.yaml": fmt.Sprintf(`
pipeline: app
steps:
  - build: long
    run: |
      echo began >> %s
      for i in $(seq %d); do echo "line $i."; sleep 0.05; done
  - test: after
    run: echo after
`, began, lines)}).watch()
	s.reaches(1, "long", "running")
	until(t, "the step says something", func() bool { text, _ := s.readLog(1, "long", 0); return text != "" })

	random := moments(t)
	for range 3 {
		lets(time.Duration(random.IntN(700)) * time.Millisecond)
		s.crashServer("--no-worker")
	}

	passed := s.ends(1, "passed")
	if attempts := stepOf(passed, "long").Attempt; attempts != 1 {
		t.Errorf("the step ran %d times", attempts)
	}
	if content, err := os.ReadFile(began); err != nil || string(content) != "began\n" {
		t.Errorf("the script began: %q, %v", content, err)
	}
	text := s.log(1, "long", 0)
	for n := range lines {
		if count := strings.Count(text, fmt.Sprintf("line %d.\n", n+1)); count != 1 {
			t.Errorf("line %d stands %d times in the log", n+1, count)
		}
	}
}

func TestAServerThatIsKilledDuringDeploymentsBringsThemAllLive(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	random := moments(t)
	for release := 2; release < 2+3; release++ {
		version := fmt.Sprintf("v%d", release)
		repository.push(tree{"version": version})
		s.reaches(release, "unit", "passed")
		for range 2 {
			lets(time.Duration(random.IntN(600)) * time.Millisecond)
			s.crashServer("--no-worker")
		}
		s.ends(release, "passed")
		s.environment("live", version, isLive(release))
		s.serves(version)
	}
	s.flawless(traffic)
}

func TestAServerWithItsWorkerInsideIsKilledAndEveryChangeGoesLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer()
	s.startProxy()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	random := moments(t)
	for release := 2; release < 2+3; release++ {
		version := fmt.Sprintf("v%d", release)
		repository.push(tree{"version": version})
		for range 2 {
			lets(time.Duration(random.IntN(1500)) * time.Millisecond)
			s.crashServer()
		}
		s.ends(release, "passed")
		s.environment("live", version, isLive(release))
		s.serves(version)
	}
	s.flawless(traffic)
}
