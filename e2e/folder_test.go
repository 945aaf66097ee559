//go:build linux

package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	code, said := start(t, "second", s.root, "server", "--data", s.data, "--listen", freeAddress(t)).result()
	if code != 1 || !strings.Contains(said, "another process works in "+s.data) || !strings.Contains(said, "hint:") {
		t.Errorf("the second server ended with %d:\n%s", code, said)
	}
	if _, err := s.api.Me(t.Context()); err != nil {
		t.Errorf("the first server does not answer any more: %v", err)
	}
}

func TestASecondWorkerOnTheSameFolderIsRefusedAndUsesNoTokenUp(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	made, err := s.api.NewWorkerToken(t.Context())
	s.must(err)
	args := []string{"worker", "--server", "http://" + s.address, "--token", made.Token, "--name", "second", "--data"}
	code, said := start(t, "second", s.root, append(args, s.workerData())...).result()
	if code != 1 || !strings.Contains(said, "another process works in "+s.workerData()) {
		t.Errorf("the second worker ended with %d:\n%s", code, said)
	}
	s.start("third", append(args, filepath.Join(s.root, "third"))...).awaits("connected to")
}

func TestAPortThatIsTakenNamesItsHolder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	taken, err := net.Listen("tcp", s.address)
	s.must(err)
	defer taken.Close()
	code, said := start(t, "server", s.root, "server", "--data", s.data, "--listen", s.address).result()
	if code != 1 || !strings.Contains(said, s.address) || !strings.Contains(said, strconv.Itoa(os.Getpid())) {
		t.Errorf("the server ended with %d:\n%s", code, said)
	}
}

func TestAServerThatChoosesItsPortSaysWhichOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := s.start("server", "server", "--data", s.data, "--listen", "127.0.0.1:0", "--no-worker").awaits("first administrator, once: ")
	link := regexp.MustCompile(`first administrator, once: (\S+)`).FindStringSubmatch(server.said())[1]
	answer, err := http.Get(link)
	s.must(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s answers %s", link, answer.Status)
	}
}

func TestTheOwnersTokenAndTheDatabaseAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	for _, name := range []string{"owner.token", "towpath.db", "towpath.db-wal", "secret.key"} {
		status, err := os.Stat(filepath.Join(s.data, name))
		s.must(err)
		if status.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the rights %s", name, status.Mode().Perm())
		}
	}
}
