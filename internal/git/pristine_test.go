package git_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// remembered is a fresh checkout of 52 files, a link among them, before anybody touched it.
func remembered(t testing.TB) (*upstream, *git.Mirror, *git.Pristine) {
	t.Helper()
	up, m := rememberable(t)
	return up, m, freshly(t, up, m)
}

// rememberable is a repository of 52 files, a link among them, with its mirror.
func rememberable(t testing.TB) (*upstream, *git.Mirror) {
	t.Helper()
	up := newUpstream(t)
	up.fill()
	if err := os.Symlink("README", filepath.Join(up.dir, "link")); err != nil {
		t.Fatal(err)
	}
	head := up.commit("d1/deep/er", "x", "deep")
	m := mirrorOf(t, up.dir)
	if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	return up, m
}

// freshly checks out what is newest, and remembers how it looks.
func freshly(t testing.TB, up *upstream, m *git.Mirror) *git.Pristine {
	t.Helper()
	c := git.Checkout{Revision: up.git("rev-parse", "HEAD"), Dir: filepath.Join(t.TempDir(), "work")}
	if err := m.Checkout(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return must(git.Remember(c))(t)
}

func in(t testing.TB, p *git.Pristine, script string) {
	t.Helper()
	runShell(t, p.Dir, script)
}

func TestWhatWasAddedToACheckoutIsRemovedAndItsGitIsAsBefore(t *testing.T) {
	up, _, p := remembered(t)
	for _, script := range []string{
		"true", "git status", "mkdir -p new/dir d1/new; touch new/dir/file d1/new/file d2/added; ln -s / root",
		"git config user.name Eve; git tag v6; touch .git/hooks-to-be", "rm -rf .git", "git update-index --refresh; true",
	} {
		in(t, p, script)
		if err := p.Restore(os.RemoveAll); err != nil {
			t.Fatalf("after %q: %v", script, err)
		}
		if got := runGit(t, p.Dir, "status", "--porcelain", "--ignored"); got != "" {
			t.Errorf("after %q: %s", script, got)
		}
		if got := runGit(t, p.Dir, "rev-parse", "HEAD"); got != up.git("rev-parse", "HEAD") {
			t.Errorf("after %q: HEAD is %s", script, got)
		}
		if got := runGit(t, p.Dir, "tag"); got != "" {
			t.Errorf("after %q: tag %s", script, got)
		}
		if err := p.Restore(os.RemoveAll); err != nil {
			t.Fatalf("after %q and status: %v", script, err)
		}
	}
}

func TestAChangedFileIsNoticedHoweverSlyly(t *testing.T) {
	most := 3
	if testing.Short() {
		most = 1
	}
	up, m := rememberable(t)
	for _, script := range []string{
		"echo more >>d1/f1", "rm d1/f1", "chmod +x d1/f1", "mv d1/f1 x; cp -p x d1/f1; rm x",
		"printf 1 | dd of=d1/f1 conv=notrunc status=none; touch -r d2/f2 d1/f1",
		"rm link; ln -s d1/f1 link", "rm -r d1; ln -s d2 d1", "chmod 700 d1", "rm -r d1; touch d1",
		"printf 7 | dd of=d1/f1 conv=notrunc status=none", "ln d1/f1 other",
	} {
		for steps := range most { // after which it was looked at so often, and found as it should
			p := freshly(t, up, m)
			for range steps {
				if err := p.Restore(os.RemoveAll); err != nil {
					t.Fatal(err)
				}
			}
			in(t, p, script)
			if err := p.Restore(os.RemoveAll); !errors.Is(err, git.ErrChanged) {
				t.Errorf("after %d steps and %q: %v", steps, script, err)
			}
		}
	}
}

func TestACheckoutIsTurnedIntoAnotherRevision(t *testing.T) {
	up, m, p := remembered(t)
	up.git("rm", "-q", "-r", "d2")
	next := up.commit("d1/f1", "changed\n", "next")
	if err := errors.Join(p.Restore(os.RemoveAll), m.Ensure(t.Context(), git.Want{Revision: next}), m.Switch(t.Context(), p, next)); err != nil {
		t.Fatal(err)
	}
	if got := runGit(t, p.Dir, "status", "--porcelain", "--ignored"); got != "" {
		t.Errorf("status %s", got)
	}
	if got := readFile(t, p.Dir, "d1", "f1"); got != "changed\n" {
		t.Errorf("d1/f1 is %q", got)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "d2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("d2 is still there: %v", err)
	}
	if got := runGit(t, p.Dir, "log", "-1", "--format=%H %D"); got != next+" HEAD, origin/main" {
		t.Errorf("HEAD is %s", got)
	}
	again := must(git.Remember(git.Checkout{Revision: next, Dir: p.Dir}))(t)
	in(t, again, "touch added")
	if err := again.Restore(os.RemoveAll); err != nil {
		t.Error(err)
	}
}

// BenchmarkRestore is what a checkout costs that nobody changed.
func BenchmarkRestore(b *testing.B) {
	_, _, p := remembered(b)
	for b.Loop() {
		if err := p.Restore(os.RemoveAll); err != nil {
			b.Fatal(err)
		}
	}
}

func runShell(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
