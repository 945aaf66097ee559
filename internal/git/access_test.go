//go:build unix

package git_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// askings are the ways in which a remote is asked: without git where that can be, by git, and for a mirror.
func askings(t *testing.T, g *git.Git, address string, a git.Access) map[string]func() error {
	return map[string]func() error{
		"tips of branches": func() error { _, err := g.LsRemote(t.Context(), address, a, "HEAD", "refs/heads/*"); return err },
		"all tips":         func() error { _, err := g.LsRemote(t.Context(), address, a); return err },
		"clone": func() error {
			return must(g.Open(filepath.Join(t.TempDir(), "m.git"), address))(t).Fetch(t.Context(), a)
		},
		"fetch": func() error {
			return must(g.Open(filepath.Join(t.TempDir(), "m.git"), address))(t).Fetch(t.Context(), a, "+refs/heads/*:refs/heads/*")
		},
	}
}

// wantEach asks all at once: each waits for a connection of its own most of the time.
func wantEach(t *testing.T, what string, askings map[string]func() error, want error, secrets ...string) {
	t.Helper()
	var all sync.WaitGroup
	for name, ask := range askings {
		all.Go(func() {
			err := ask()
			if !errors.Is(err, want) {
				t.Errorf("%s, %s: %v, want %v", what, name, err, want)
			}
			if want != nil && git.Hint(err) == "" {
				t.Errorf("%s, %s: no hint for %v", what, name, err)
			}
			for _, secret := range secrets {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s, %s tells a secret: %v", what, name, err)
				}
			}
		})
	}
	all.Wait()
}

func TestAPasswordOpensARepositoryAndIsShownNowhere(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	server := up.serve("bot", "s3cr3t/+")
	address, good := server.URL+"/shop", git.Access{User: "bot", Password: "s3cr3t/+"}
	g := newGit(t)

	refs := must(g.LsRemote(t.Context(), address, good, "HEAD", "refs/heads/*"))(t)
	if refs.Tips["refs/heads/main"] != head || refs.Default != "refs/heads/main" {
		t.Errorf("tips %v", refs)
	}
	wantEach(t, "the password", askings(t, g, address, good), nil)
	withUser := strings.Replace(address, "http://", "http://bot:s3cr3t%2F+@", 1)
	wantEach(t, "in the address", askings(t, g, withUser, git.Access{}), nil)
	wantEach(t, "a wrong one", askings(t, g, address, git.Access{User: "bot", Password: "wr0ng"}), git.ErrRefused, "wr0ng")
	wantEach(t, "a wrong one, though the address has the right one", askings(t, g, withUser, git.Access{User: "bot", Password: "wr0ng"}), git.ErrRefused, "wr0ng", "s3cr3t")
	wantEach(t, "none", askings(t, g, address, git.Access{}), git.ErrRefused)
	wantEach(t, "another repository", askings(t, g, server.URL+"/nothing", good), git.ErrNotFound, "s3cr3t")

	m := must(g.Open(filepath.Join(t.TempDir(), "shop.git"), withUser))(t)
	dir := t.TempDir()
	if err := errors.Join(m.Ensure(t.Context(), git.Want{Revision: head, Access: good}), m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir})); err != nil {
		t.Fatal(err)
	}
	if config := readFile(t, dir, ".git", "config"); !strings.Contains(config, server.URL) {
		t.Errorf("the checkout's configuration:\n%s", config)
	}
	wantNowhere(t, "s3cr3t", dir, m.Dir())
}

func TestWhoeverIsSentOnToIsShownNothing(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	var shown atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="elsewhere"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	sending := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusMovedPermanently)
	}))
	t.Cleanup(sending.Close)
	a := git.Access{User: "bot", Password: "s3cr3t"}
	wantEach(t, "sent on", askings(t, newGit(t), sending.URL+"/shop", a), git.ErrRefused, "s3cr3t")
	if n := shown.Load(); n != 0 {
		t.Errorf("the other host was shown credentials %d times", n)
	}

	home := up.serve("bot", "s3cr3t")
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/old/") {
			http.Redirect(w, r, strings.TrimPrefix(r.URL.RequestURI(), "/old"), http.StatusMovedPermanently)
			return
		}
		home.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(moved.Close)
	wantEach(t, "moved on the same host", askings(t, newGit(t), moved.URL+"/old/shop", a), nil)
}

func TestAServerWithACertificateOfItsOwnIsNotKnown(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	secret := httptest.NewTLSServer(up.serve("bot", "s3cr3t").Config.Handler)
	t.Cleanup(secret.Close)
	secret.Config.ErrorLog = log.New(io.Discard, "", 0)
	a := git.Access{User: "bot", Password: "s3cr3t"}
	wantEach(t, "a certificate that nobody signed", askings(t, newGit(t), secret.URL+"/shop", a), git.ErrHostUnknown, "s3cr3t")
}

func TestAServerOfAnOlderProtocolIsAskedAllTheSame(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	up.git("tag", "-a", "v1", "-m", "first")
	home := up.serve("bot", "s3cr3t")
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Git-Protocol")
		home.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(old.Close)
	a := git.Access{User: "bot", Password: "s3cr3t"}
	for _, server := range []*httptest.Server{home, old} {
		refs := must(newGit(t).LsRemote(t.Context(), server.URL+"/shop", a, "HEAD", "refs/heads/*", "refs/tags/*"))(t)
		if refs.Default != "refs/heads/main" || refs.Tips["refs/heads/main"] != head || refs.Tips["refs/tags/v1^{}"] != head || len(refs.Tips) != 4 {
			t.Errorf("tips %+v", refs)
		}
	}
}

func TestAKeyOpensARepositoryOnAHostThatIsKnown(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	host := startSSHD(t)
	scratch := filepath.Join(t.TempDir(), "scratch of 100%")
	g := must(git.New(git.Options{Scratch: scratch}))(t)
	address, good := host.url(up.dir), git.Access{Key: host.key("ours"), KnownHosts: host.knownHosts()}

	wantEach(t, "the key", askings(t, g, address, good), nil)
	only := must(g.LsRemote(t.Context(), address, good, "refs/heads/*"))(t)
	if len(only.Tips) != 1 || only.Tips["refs/heads/main"] != head {
		t.Errorf("of its branches it says %v", only.Tips)
	}
	crlf := git.Access{Key: []byte(strings.ReplaceAll(strings.TrimSpace(string(good.Key)), "\n", "\r\n")), KnownHosts: good.KnownHosts}
	wantEach(t, "the key as a form sends it", askings(t, g, address, crlf), nil)
	strangers := git.Access{Key: host.key("strangers"), KnownHosts: host.knownHosts()}
	wantEach(t, "a key that was not let in", askings(t, g, address, strangers), git.ErrRefused, "OPENSSH PRIVATE KEY")
	unknown := git.Access{Key: good.Key, KnownHosts: "elsewhere.example.com " + readFile(t, host.dir, "host.pub")}
	wantEach(t, "a host that is not known", askings(t, g, address, unknown), git.ErrHostUnknown)
	wantEach(t, "a host that the machine does not know", askings(t, g, address, git.Access{Key: good.Key}), git.ErrHostUnknown)

	m := must(g.Open(filepath.Join(t.TempDir(), "shop.git"), address))(t)
	if err := m.Ensure(t.Context(), git.Want{Revision: head, Access: good}); err != nil {
		t.Fatal(err)
	}
	host.rekey()
	wantEach(t, "a host with another key", askings(t, g, address, good), git.ErrHostChanged)
	host.stop()
	wantEach(t, "a host that is down", askings(t, g, address, good), git.ErrUnreachable)
	for _, key := range []string{"no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := g.LsRemote(t.Context(), address, git.Access{Key: []byte(key)}); !errors.Is(err, git.ErrUnsafe) {
			t.Errorf("%q is taken for a key: %v", key, err)
		}
	}
	left := must(os.ReadDir(scratch))(t)
	if len(left) != 0 {
		t.Errorf("of %d calls %s is left", 20, left)
	}
	wantNowhere(t, "PRIVATE KEY", m.Dir())
}

func TestWhatAKilledProcessLeftOfAKeyIsRemoved(t *testing.T) {
	scratch := t.TempDir()
	left := filepath.Join(scratch, "towpath-git-1234")
	foreign := filepath.Join(scratch, "notes")
	if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, "key"), []byte("secret"), 0o600), os.Mkdir(foreign, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := must(git.New(git.Options{Scratch: scratch}))(t).ClearScratch(); err != nil {
		t.Fatal(err)
	}
	entries := must(os.ReadDir(scratch))(t)
	if len(entries) != 1 || entries[0].Name() != "notes" {
		t.Errorf("there is %s", entries)
	}
}
