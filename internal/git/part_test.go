package git_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// partOf clones a repository without some of it, and makes a mirror of that.
func partOf(t *testing.T, up *upstream, way string) (part string, m *git.Mirror) {
	t.Helper()
	up.git("config", "uploadpack.allowFilter", "true")
	part = filepath.Join(t.TempDir(), "part")
	runGit(t, up.dir, append(append([]string{"clone", "-q"}, strings.Fields(way)...), "file://"+up.dir, part)...)
	return part, must(must(git.New(git.Options{}))(t).Open(filepath.Join(t.TempDir(), "shop.git"), part))(t)
}

func TestARepositoryWithoutOldCommitsIsFollowed(t *testing.T) {
	for _, way := range []string{"--depth=1", "--depth=1 --bare"} {
		up := newUpstream(t)
		up.commit("a", "0", "zero")
		head := up.commit("a", "1", "one")
		part, m := partOf(t, up, way)
		holds(t, m, head, "refs/heads/main", "1")
		next := up.commit("a", "2", "two")
		runGit(t, part, "fetch", "-q", "origin", "+refs/heads/main:refs/heads/next")
		holds(t, m, next, "refs/heads/next", "2")
	}
}

// holds says that the mirror comes to have a revision, and checks it out.
func holds(t *testing.T, m *git.Mirror, revision, ref, want string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	if err := m.Ensure(t.Context(), git.Want{Revision: revision, Ref: ref}); err != nil {
		t.Fatal(err)
	}
	if err := m.Checkout(t.Context(), git.Checkout{Revision: revision, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, dir, "a"); got != want {
		t.Errorf("a is %q, want %q", got, want)
	}
}

// TestAPartialCloneIsRefusedWithWhatToDo: git does not serve what the clone would have to fetch itself (git-upload-pack(1),
// SECURITY), so that nobody can have it run what its configuration says.
func TestAPartialCloneIsRefusedWithWhatToDo(t *testing.T) {
	for _, way := range []string{"--filter=blob:none --no-checkout", "--filter=blob:none --bare"} {
		up := newUpstream(t)
		head := up.commit("a", "1", "one")
		_, m := partOf(t, up, way)
		err := m.Ensure(t.Context(), git.Want{Revision: head, Ref: "refs/heads/main"})
		if !errors.Is(err, git.ErrPartial) || !strings.Contains(git.Hint(err), "cloned from") {
			t.Errorf("%s: %v", way, err)
		}
		if fault, is := errors.AsType[*git.Error](err); !is || fault.Temporary() {
			t.Errorf("%s: it is asked again and again: %v", way, err)
		}
	}
}
