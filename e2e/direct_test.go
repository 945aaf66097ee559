//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// goesBackDirectly calls the verb on the keeper's machine, which has to come to its end with a release live, and answers what it
// said.
func (s *site) goesBackDirectly(release int, flags ...string) (told string) {
	s.Helper()
	args := append([]string{"rollback", "live", "--direct", "--yes", "--json", "--reason", "carts are empty"}, flags...)
	verb := start(s, "rollback", s.root, args...)
	until(s, "the rollback ends", verb.isGone)
	code, told := verb.result()
	lines := strings.Split(strings.TrimSpace(told), "\n")
	var ended struct {
		To     int
		Serves bool
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &ended); code != 0 || err != nil || ended.To != release || !ended.Serves {
		s.Fatalf("going back ended with %d, %v:\n%s", code, err, told)
	}
	return told
}

// isReconciled checks what the server shows of a direct rollback to a release.
func (s *site) isReconciled(from, to int) {
	s.Helper()
	s.environment("live", "reconciled", func(e client.Environment) bool {
		return isLive(to)(e) && strings.Contains(e.Pin, fmt.Sprintf("release %d", from))
	})
	deployments, err := s.api.Deployments(s.Context(), "app/live")
	s.must(err)
	last := deployments[0]
	if last.Cause != "rollback" || last.State != "live" || last.Release != to || last.Reason != "carts are empty" || !strings.Contains(last.By, " on ") {
		s.Errorf("the server has recorded %+v", last)
	}
	audit, err := s.api.Audit(s.Context())
	s.must(err)
	found := false
	for _, entry := range audit {
		found = found || entry.Action == "rollback.direct" && strings.Contains(entry.Detail, "carts are empty")
	}
	if !found {
		s.Errorf("the audit does not name it: %+v", audit)
	}
}

func TestARollbackNeedsNoServer(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	traffic := s.asks()
	s.server.kill()
	s.goesBackDirectly(1, "--data", s.workerData())
	s.serves("one")
	s.startServer("--no-worker")
	s.isReconciled(2, 1)
	repository.push(tree{"version": "three"})
	s.ends(3, "passed")
	s.serves("three")
	s.flawless(traffic)
}

func TestARollbackNeedsNeitherTheServerNorTheWorkerInside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer()
	s.startProxy()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	traffic := s.asks()
	s.server.kill()
	s.goesBackDirectly(1, "--data", filepath.Join(s.data, "worker"))
	s.serves("one")
	s.startServer()
	s.isReconciled(2, 1)
	s.flawless(traffic)
}
