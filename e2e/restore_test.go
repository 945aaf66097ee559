//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestAServerThatIsRestoredFromABackupShowsWhatDriftedAndDeploysNothingByItself(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	file := filepath.Join(s.root, "backup.tar.zst")
	code, said := s.towpath("backup", file)
	if code != 0 || !strings.Contains(said, "secret.key") {
		t.Fatalf("towpath backup ended with %d: %s", code, said)
	}
	if code, said := s.towpath("backup", "--verify", file); code != 0 || !strings.Contains(said, "can be restored") {
		t.Errorf("towpath backup --verify ended with %d: %s", code, said)
	}

	repository.push(tree{"version": "two"}) // which the backup does not know
	s.ends(2, "passed")
	s.server.kill()
	lost := s.data
	s.data = filepath.Join(s.root, "restored")
	code, said = s.towpath("restore", file, "--data", s.data, "--key", filepath.Join(lost, "secret.key"))
	if code != 0 || !strings.Contains(said, "nothing is deployed until you say so in: app/live") {
		t.Fatalf("towpath restore ended with %d: %s", code, said)
	}
	s.api = nil // the owner has a new token
	s.startServer("--no-worker")

	s.environment("live", "halted, with what was deployed since in sight", func(e client.Environment) bool {
		return strings.Contains(e.Halted, "restored") && e.Live.Number == 1 && e.Keeper != "" &&
			len(e.Instances) > 0 && e.Instances[len(e.Instances)-1].Release == 2
	})
	r := s.run(1001+1000, "refused", isOver) // the commit that the backup does not know, found again
	if step := stepOf(r, "live"); !strings.Contains(step.Reason, "halted") {
		t.Errorf("the step is %s: %s", step.State, step.Reason)
	}
	s.serves("two")

	_, err := s.api.Deploy(t.Context(), "app/live", client.Deploy{Release: 1, Reason: "the restore"})
	s.must(err)
	s.environment("live", "live again", func(e client.Environment) bool { return isLive(1)(e) && e.Halted == "" })
	s.serves("one")
	s.flawless(traffic)
}

func TestARestoreOverAServerIsRefusedAndADamagedBackupLeavesNoServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	file := filepath.Join(s.root, "backup.tar.zst")
	if code, said := s.towpath("backup", file); code != 0 {
		t.Fatal(said)
	}
	if code, said := s.towpath("backup", file); code != 2 || !strings.Contains(said, "is there already") {
		t.Errorf("a backup over a backup ended with %d: %s", code, said)
	}
	s.server.stop()
	if code, said := s.towpath("restore", file, "--data", s.data); code != 1 || !strings.Contains(said, "holds what a server keeps already") {
		t.Errorf("a restore over a server ended with %d: %s", code, said)
	}
	whole, err := os.ReadFile(file)
	s.must(err)
	s.must(os.WriteFile(file, whole[:len(whole)-len(whole)/3], 0o600))
	into := filepath.Join(s.root, "into")
	if code, said := s.towpath("restore", file, "--data", into); code != 1 || !strings.Contains(said, "not a whole backup") {
		t.Errorf("a damaged backup ended with %d: %s", code, said)
	}
	if _, err := os.Stat(filepath.Join(into, "towpath.db")); err == nil {
		t.Error("there is a database")
	}
	s.must(os.WriteFile(file, whole, 0o600))
	if code, said := s.towpath("restore", file, "--data", into); code != 0 {
		t.Errorf("a whole backup after a damaged one ended with %d: %s", code, said)
	}
}

// towpath calls a verb of the command line as the server's owner, and answers its exit code with what it said.
func (s *site) towpath(args ...string) (code int, said string) {
	s.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "owner.token"))
	if err == nil {
		args = append(args, "--server", "http://"+s.address, "--token", strings.TrimSpace(string(token)))
	}
	return start(s, args[0], s.root, args...).result()
}
