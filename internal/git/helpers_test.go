package git_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// upstream is a real repository that a person works in.
type upstream struct {
	t   testing.TB
	dir string
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{t: t, dir: filepath.Join(t.TempDir(), "shop")}
	if err := os.Mkdir(u.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	u.git("init", "-q", "-b", "main")
	return u
}

func (u *upstream) git(args ...string) string {
	u.t.Helper()
	return runGit(u.t, u.dir, args...)
}

func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada Lovelace", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file and commits it; the hash is returned.
func (u *upstream) commit(file, content, message string) string {
	u.t.Helper()
	u.write(file, content)
	u.git("add", "-A")
	u.git("commit", "-q", "-m", message)
	return u.git("rev-parse", "HEAD")
}

func (u *upstream) write(file, content string) {
	u.t.Helper()
	path := filepath.Join(u.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// fill commits 51 small files, as the repository of the benchmarks has.
func (u *upstream) fill() string {
	for i := range 51 {
		u.write(filepath.Join("d"+strconv.Itoa(i%7), "f"+strconv.Itoa(i)), strings.Repeat(strconv.Itoa(i)+" line\n", 120))
	}
	return u.commit("README", "fifty-one files\n", "Begin")
}

// serve offers the repository over HTTP, by git's own server side, to those who know the password.
func (u *upstream) serve(user, password string) *httptest.Server {
	u.t.Helper()
	core := runGit(u.t, u.dir, "--exec-path")
	backend := &cgi.Handler{
		Path: filepath.Join(core, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(u.dir), "GIT_HTTP_EXPORT_ALL=1"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, pass, _ := r.BasicAuth(); name != user || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.ContentLength < 0 { // which CGI has no way to pass on
			body, err := io.ReadAll(r.Body)
			if err != nil {
				u.t.Error(err)
			}
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		}
		backend.ServeHTTP(w, r)
	}))
	u.t.Cleanup(server.Close)
	return server
}

func newGit(t testing.TB) *git.Git {
	t.Helper()
	g, err := git.New(git.Options{})
	if err != nil {
		t.Fatalf("%v (install git 2.39 or newer)", err)
	}
	return g
}

// mirrorOf returns a mirror that was not fetched yet.
func mirrorOf(t testing.TB, address string) *git.Mirror {
	t.Helper()
	m, err := newGit(t).Open(filepath.Join(t.TempDir(), "mirrors", "shop.git"), address)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func readFile(t testing.TB, parts ...string) string {
	t.Helper()
	return string(must(os.ReadFile(filepath.Join(parts...)))(t))
}

// wantNowhere fails where a file below one of the folders holds a text.
func wantNowhere(t *testing.T, text string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(readFile(t, path), text) {
				t.Errorf("%s holds the secret", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
