//go:build unix

package worker_test

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// private serves the site's repository over HTTP to who knows the password.
func (s *site) private(user, password string) string {
	s.t.Helper()
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(s.repository), "GIT_HTTP_EXPORT_ALL=1"},
	}
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, pass, _ := r.BasicAuth(); name != user || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	s.t.Cleanup(forge.Close)
	return forge.URL + "/" + filepath.Base(s.repository)
}

func TestAStepNeverSeesWhatItsRepositoryIsShown(t *testing.T) {
	s := working(t)
	address := s.private("bot", "c0rrect-horse")
	l := s.step(`env; cat .git/config; grep -rl "c0rrect-""horse" ` + s.data + ` && echo found; git ls-remote origin </dev/null || true`)
	l.Repository, l.Access = address, &client.RepositoryAccess{User: "bot", Password: "c0rrect-horse"}
	report, log := s.result(l)
	if report.State != "passed" || strings.Contains(log, "c0rrect-horse") || strings.Contains(log, "found\n") {
		t.Errorf("%+v\n%s", report, log)
	}
	if !strings.Contains(log, "url = \""+address+"\"") || strings.Contains(log, "refs/heads/main") || strings.Contains(log, "***") {
		t.Errorf("the step could ask the repository, or saw something that had to be masked:\n%s", log)
	}
}

func TestARepositoryThatRefusesSaysWhatToDo(t *testing.T) {
	s := working(t)
	l := s.step("true")
	l.Repository, l.Access = s.private("bot", "c0rrect-horse"), &client.RepositoryAccess{User: "bot", Password: "wr0ng-horse"}
	if report, log := s.result(l); report.State != "failed" || !strings.Contains(log, "access refused") ||
		!strings.Contains(log, "give the project credentials") || strings.Contains(log, "wr0ng-horse") {
		t.Errorf("%+v\n%s", report, log)
	}
}

func TestAKilledWorkersCredentialsAreRemoved(t *testing.T) {
	s := newSite(t)
	left := filepath.Join(s.data, "access", "towpath-git-1")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "key"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(s.options())
	if report, _ := s.result(s.step("true")); report.State != "passed" {
		t.Errorf("%+v", report)
	}
	mustBeEmpty(t, filepath.Join(s.data, "access"))
}

func TestACommitOfAPullRequestIsBuiltFromItsReference(t *testing.T) {
	s := working(t)
	s.git("checkout", "-q", "-b", "idea")
	s.commit("proposed", "yes\n")
	s.git("update-ref", "refs/pull/7/head", s.revision)
	s.git("checkout", "-q", "main")
	s.git("branch", "-q", "-D", "idea")
	l := s.step("cat proposed")
	l.Ref, l.Branch = "refs/pull/7/head", "pull/7"
	if report, log := s.result(l); report.State != "passed" || log != "yes\n" {
		t.Errorf("%+v\n%s", report, log)
	}
}

func TestWhatAStepAsksOfItsCheckoutIsThere(t *testing.T) {
	s := working(t)
	s.commit("second", "2\n")
	library := filepath.Join(filepath.Dir(s.repository), "library")
	if out, err := exec.Command("git", "clone", "-q", s.repository, library).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(s.repository, ".gitmodules"), []byte("[submodule \"l\"]\n\tpath = l\n\turl = ../library\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.repository, "l"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.git("update-index", "--add", "--cacheinfo", "160000,"+s.revision+",l")
	s.commit("third", "3\n")
	count := "git rev-list --count HEAD; ls l || true"
	for _, c := range []struct {
		checkout client.Checkout
		want     string
	}{
		{client.Checkout{}, "3\n"},
		{client.Checkout{Depth: 2}, "2\n"},
		{client.Checkout{}, "3\n"}, // nobody's shallow history is handed on
		{client.Checkout{Submodules: true}, "3\ngreeting\nsecond\n"},
		{client.Checkout{}, "3\n"},
	} {
		l := s.step(count)
		l.Checkout = c.checkout
		if report, log := s.result(l); report.State != "passed" || log != c.want {
			t.Errorf("with %+v: %q, want %q (%+v)", c.checkout, log, c.want, report)
		}
	}
}
