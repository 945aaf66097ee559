package git_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// beside is another repository in the same folder as up.
func (u *upstream) beside(name string) *upstream {
	u.t.Helper()
	other := &upstream{t: u.t, dir: filepath.Join(filepath.Dir(u.dir), name)}
	if err := os.Mkdir(other.dir, 0o755); err != nil {
		u.t.Fatal(err)
	}
	other.git("init", "-q", "-b", "main")
	return other
}

// nested commits a submodule of that address at that path and revision.
func (u *upstream) nested(path, address, revision string) string {
	u.t.Helper()
	u.write(".gitmodules", readOr(filepath.Join(u.dir, ".gitmodules"))+fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, address))
	u.git("add", ".gitmodules")
	u.git("update-index", "--add", "--cacheinfo", "160000,"+revision+","+path)
	u.git("commit", "-q", "-m", "nest "+path)
	return u.git("rev-parse", "HEAD")
}

func readOr(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

// shelf keeps a mirror of each repository that is asked for.
type shelf struct {
	t    testing.TB
	git  *git.Git
	dir  string
	kept map[string]*git.Mirror
}

func newShelf(t testing.TB) *shelf {
	return &shelf{t: t, git: newGit(t), dir: t.TempDir(), kept: map[string]*git.Mirror{}}
}

func (s *shelf) of(address string) (*git.Mirror, error) {
	if m := s.kept[address]; m != nil {
		return m, nil
	}
	m, err := s.git.Open(filepath.Join(s.dir, fmt.Sprint(len(s.kept))+".git"), address)
	s.kept[address] = m
	return m, err
}

// checkOut makes a checkout with submodules.
func (s *shelf) checkOut(address string, c git.Checkout) (string, error) {
	s.t.Helper()
	m := must(s.of(address))(s.t)
	c.Dir, c.Mirrors = s.t.TempDir(), s.of
	err := m.Ensure(s.t.Context(), git.Want{Revision: c.Revision, Access: c.Access})
	if err == nil {
		err = m.Checkout(s.t.Context(), c)
	}
	return c.Dir, err
}

func TestSubmodulesAreThereWhenTheyAreAskedFor(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	deep := up.beside("deep")
	deepest := deep.commit("d", "deep", "deep")
	library := up.beside("library")
	library.commit("l", "library", "begin")
	held := library.nested("vendor/deep", "../deep", deepest)
	library.commit("l", "later than is asked for", "later")
	head := up.nested("libs/library", "./../library/", held)

	s := newShelf(t)
	dir := must(s.checkOut(up.dir, git.Checkout{Revision: head}))(t)
	if got := readFile(t, dir, "libs/library/l") + readFile(t, dir, "libs/library/vendor/deep/d"); got != "librarydeep" {
		t.Errorf("the submodules hold %q", got)
	}
	if status := runGit(t, dir, "status", "--porcelain"); status != "" {
		t.Errorf("git says %q", status)
	}
	if status := runGit(t, dir, "submodule", "status"); !strings.Contains(status, held+" libs/library") {
		t.Errorf("of submodules git says %q", status)
	}
	without := t.TempDir()
	if err := must(s.of(up.dir))(t).Checkout(t.Context(), git.Checkout{Revision: head, Dir: without}); err != nil {
		t.Fatal(err)
	}
	if entries := must(os.ReadDir(filepath.Join(without, "libs", "library")))(t); len(entries) != 0 {
		t.Errorf("not asked for, and yet there is %s", entries)
	}
}

func TestSubmodulesAreShownWhatIsForTheirHost(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	held := up.beside("library").commit("l", "library", "begin")
	server := up.serve("bot", "s3cr3t")
	var shown atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	a := git.Access{User: "bot", Password: "s3cr3t"}

	good := up.nested("near", "../library", held)
	dir := must(newShelf(t).checkOut(server.URL+"/shop", git.Checkout{Revision: good, Access: a}))(t)
	if got := readFile(t, dir, "near/l"); got != "library" {
		t.Errorf("the submodule holds %q", got)
	}
	wantNowhere(t, "s3cr3t", dir)
	far := up.nested("far", other.URL+"/library", held)
	if _, err := newShelf(t).checkOut(server.URL+"/shop", git.Checkout{Revision: far, Access: a}); !errors.Is(err, git.ErrRefused) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a submodule of another host gave %v", err)
	}
	if shown.Load() != 0 {
		t.Errorf("the other host was shown credentials %d times", shown.Load())
	}
}

func TestAHostileSubmoduleIsRefused(t *testing.T) {
	touched := filepath.Join(t.TempDir(), "touched")
	for _, c := range []struct {
		address string
		want    error
	}{
		{"ext::sh -c touch% " + touched, git.ErrUnsafe},
		{"--upload-pack=touch " + touched, git.ErrUnsafe},
		{"-u" + touched, git.ErrUnsafe},
		{"ssh://-oProxyCommand=touch+" + touched + "/x", git.ErrUnsafe},
		{"git://127.0.0.1:1/x", git.ErrProtocol},
		{"../../../../../../../../../../../../x", git.ErrUnsafe},
		{"relative/library", git.ErrUnsafe},
		{"http://example.com/x", git.ErrProtocol},
	} {
		up := newUpstream(t)
		head := up.commit("a", "1", "one")
		head = up.nested("evil", c.address, head)
		if _, err := newShelf(t).checkOut(up.dir, git.Checkout{Revision: head}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.address, err, c.want)
		}
	}
	if _, err := os.Stat(touched); err == nil {
		t.Error("a submodule's address was run")
	}

	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	server := up.serve("bot", "s3cr3t")
	head = up.nested("evil", up.dir, head) // a folder of the worker, from a repository elsewhere
	a := git.Access{User: "bot", Password: "s3cr3t"}
	if _, err := newShelf(t).checkOut(server.URL+"/shop", git.Checkout{Revision: head, Access: a}); !errors.Is(err, git.ErrProtocol) {
		t.Errorf("a folder of this machine: %v", err)
	}
}

func TestASubmoduleThatHoldsItselfEnds(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	for range 12 {
		head = up.nested("self"+head[:4], "../shop", head)
	}
	if _, err := newShelf(t).checkOut(up.dir, git.Checkout{Revision: head}); !errors.Is(err, git.ErrTooLarge) {
		t.Errorf("twelve repositories in each other: %v", err)
	}
}

func TestADepthIsHowManyCommitsAreSeen(t *testing.T) {
	up := newUpstream(t)
	for i := range 5 {
		up.commit("a", fmt.Sprint(i), fmt.Sprint("commit ", i))
		up.git("tag", "-a", fmt.Sprint("v", i), "-m", "tag")
	}
	up.git("checkout", "-q", "-b", "side", "HEAD~2")
	up.commit("b", "side", "aside")
	up.git("checkout", "-q", "main")
	up.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	head := up.git("rev-parse", "HEAD")
	m := mirrorOf(t, up.dir)
	if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	for depth := range 7 {
		dir, reference := t.TempDir(), filepath.Join(t.TempDir(), "clone")
		if err := m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir, Depth: depth}); err != nil {
			t.Fatal(err)
		}
		if depth > 0 {
			runGit(t, "", "clone", "-q", "--depth", fmt.Sprint(depth), "file://"+up.dir, reference)
		} else {
			runGit(t, "", "clone", "-q", "file://"+up.dir, reference)
		}
		for _, args := range []string{"rev-list HEAD", "status --porcelain", "describe --always"} {
			if got, want := runGit(t, dir, strings.Fields(args)...), runGit(t, reference, strings.Fields(args)...); got != want {
				t.Errorf("at depth %d, git %s says %q, want %q", depth, args, got, want)
			}
		}
		runGit(t, dir, "fsck", "--connectivity-only")
	}
}
