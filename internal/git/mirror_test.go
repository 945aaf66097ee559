package git_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/git"
)

// TestMain lets the test binary play the process that fetches and is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TOWPATH_TEST_FETCH"); dir != "" {
		g, err := git.New(git.Options{})
		if err != nil {
			panic(err)
		}
		mirror, err := g.Open(dir, os.Getenv("TOWPATH_TEST_FROM"))
		if err != nil {
			panic(err)
		}
		fmt.Println("fetching")
		ctx, stop := testContext()
		defer stop()
		fmt.Println("fetched", mirror.Fetch(ctx, git.Access{}))
		return
	}
	os.Exit(m.Run())
}

func TestAMirrorAnswersForARevision(t *testing.T) {
	up := newUpstream(t)
	first := up.commit("towpath.yaml", "pipeline: shop\n", "One\n\nWith a body.")
	up.write(".towpath/web.yaml", "pipeline: web\n")
	up.write(".towpath/deep/x", "")
	second := up.commit("towpath.yaml", "pipeline: shop2\n", "Two")
	m := mirrorOf(t, up.dir)
	ctx := t.Context()
	if err := m.Ensure(ctx, git.Want{Revision: second}); err != nil {
		t.Fatal(err)
	}

	if !must(m.IsAncestor(ctx, first, second))(t) || must(m.IsAncestor(ctx, second, first))(t) {
		t.Error("the older one is the ancestor, and not the newer")
	}
	if got := must(m.Resolve(ctx, "refs/heads/main"))(t); got != second {
		t.Errorf("main stands at %s", got)
	}
}

func TestNamesFromOutsideNeverBecomeOptions(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	m := mirrorOf(t, up.dir)
	ctx := t.Context()
	if err := m.Ensure(ctx, git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	_, has := m.Has(ctx, "--help")
	commit := m.Read(ctx, func(o *git.Objects) error {
		_, err := o.Commit("HEAD")
		return err
	})
	for name, err := range map[string]error{
		"has": has, "commit": commit,
		"fetch":    m.Fetch(ctx, git.Access{}, "--upload-pack=x"),
		"checkout": m.Checkout(ctx, git.Checkout{Revision: "main", Dir: t.TempDir()}),
	} {
		if !errors.Is(err, git.ErrUnsafe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMirrorIsMadeOfARepositoryInWhateverState(t *testing.T) {
	up := newUpstream(t)
	if err := mirrorOf(t, up.dir).Fetch(t.Context(), git.Access{}); err != nil {
		t.Errorf("empty: %v", err)
	}
	first := up.commit("a", "1", "one")
	up.git("checkout", "-q", "--detach")
	tagged := up.commit("a", "2", "of a tag only")
	up.git("tag", "-a", "v1", "-m", "first")
	loose := up.commit("a", "3", "of HEAD only")
	m := mirrorOf(t, up.dir)
	if err := m.Fetch(t.Context(), git.Access{}); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"refs/heads/main": first, "refs/tags/v1": tagged} {
		if got := must(m.Resolve(t.Context(), ref))(t); got != want {
			t.Errorf("%s stands at %s, want %s", ref, got, want)
		}
	}
	for _, revision := range []string{first, tagged, loose} {
		dir := t.TempDir()
		if err := errors.Join(m.Ensure(t.Context(), git.Want{Revision: revision}), m.Checkout(t.Context(), git.Checkout{Revision: revision, Dir: dir})); err != nil {
			t.Fatal(err)
		}
		if got := runGit(t, dir, "tag", "--list"); got != "v1" {
			t.Errorf("the tags are %q", got)
		}
	}
	up.git("branch", "-f", "main", loose)
	if err := m.Ensure(t.Context(), git.Want{Revision: loose}); err != nil { // a clone is brought up to date as a mirror is
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context(), git.Access{}); err != nil || must(m.Resolve(t.Context(), "refs/heads/main"))(t) != loose {
		t.Errorf("main does not follow: %v", err)
	}
}

func TestARevisionThatNoBranchReachesIsFetchedByItsHash(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	lost := up.commit("a", "2", "two, soon pushed over")
	up.git("reset", "-q", "--hard", "HEAD~")
	up.git("config", "uploadpack.allowAnySHA1InWant", "true")
	m := mirrorOf(t, up.dir)
	if err := m.Ensure(t.Context(), git.Want{Revision: lost}); err != nil {
		t.Fatal(err)
	}
	err := m.Ensure(t.Context(), git.Want{Revision: strings.Repeat("a", 40)})
	if !errors.Is(err, git.ErrNotFound) {
		t.Errorf("a revision that never was gave %v", err)
	}
}

func TestAForcedPushAndADeletedBranchAreFollowed(t *testing.T) {
	up := newUpstream(t)
	up.commit("a", "1", "one")
	up.git("branch", "gone")
	m := mirrorOf(t, up.dir)
	if err := m.Fetch(t.Context(), git.Access{}); err != nil {
		t.Fatal(err)
	}
	up.git("commit", "-q", "--amend", "-m", "another one")
	up.git("branch", "-D", "gone")
	up.git("branch", "gone/further")
	if err := m.Fetch(t.Context(), git.Access{}); err != nil {
		t.Fatal(err)
	}
	if got := must(m.Resolve(t.Context(), "refs/heads/main"))(t); got != up.git("rev-parse", "main") {
		t.Errorf("main stands at %s", got)
	}
	if _, err := m.Resolve(t.Context(), "refs/heads/gone"); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("the deleted branch gave %v", err)
	}
}

func TestManyWhoNeedTheSameMirrorMakeItOnce(t *testing.T) {
	up := newUpstream(t)
	head := up.fill()
	dir := filepath.Join(t.TempDir(), "shop.git")
	var all sync.WaitGroup
	for range 8 {
		m := must(newGit(t).Open(dir, up.dir))(t)
		all.Go(func() {
			if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestADamagedMirrorIsMadeAnew(t *testing.T) {
	up := newUpstream(t)
	up.fill()
	m := mirrorOf(t, up.dir)
	if err := m.Fetch(t.Context(), git.Access{}); err != nil {
		t.Fatal(err)
	}
	err := os.RemoveAll(filepath.Join(m.Dir(), "objects"))
	if err != nil || os.MkdirAll(filepath.Join(m.Dir(), "objects"), 0o755) != nil {
		t.Fatal(err)
	}
	head := up.commit("new", "x", "more")
	if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	if err := m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
}

func TestAFetchKilledAtAnyMomentIsRepairedByTheNext(t *testing.T) {
	up := newUpstream(t)
	up.fill()
	dir := filepath.Join(t.TempDir(), "shop.git")
	for round := range 12 {
		head := up.commit("n", fmt.Sprint(round), "more")
		killAFetch(t, dir, up.dir, rand.N(40*time.Millisecond))
		if round%3 == 0 {
			leaveALock(t, dir)
		}
		m := must(newGit(t).Open(dir, up.dir))(t)
		if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		runGit(t, dir, "fsck", "--connectivity-only")
	}
}

// killAFetch starts a process that fetches, and kills it after the given time.
func killAFetch(t *testing.T, dir, from string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TOWPATH_TEST_FETCH="+dir, "TOWPATH_TEST_FROM="+from)
	stdout := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	must(lines.ReadString('\n'))(t)
	<-time.After(after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// leaveALock is what a git leaves that was killed while it wrote the references.
func leaveALock(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "towpath-complete")); err != nil {
		return
	}
	for _, name := range []string{"packed-refs.lock", "towpath-fetching"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompactKeepsEverything(t *testing.T) {
	up := newUpstream(t)
	m := mirrorOf(t, up.dir)
	var all []string
	for i := range 5 {
		all = append(all, up.commit("a", fmt.Sprint(i), "more"))
		if err := m.Ensure(t.Context(), git.Want{Revision: all[i]}); err != nil {
			t.Fatal(err)
		}
	}
	up.git("reset", "-q", "--hard", all[0])
	if err := errors.Join(m.Fetch(t.Context(), git.Access{}), m.Compact(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, rev := range all {
		err := m.Read(t.Context(), func(o *git.Objects) error {
			_, err := o.File(must(o.Commit(rev))(t), "a")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	packs := must(filepath.Glob(filepath.Join(m.Dir(), "objects", "pack", "*.pack")))(t)
	if len(packs) != 1 {
		t.Errorf("%d packs after compacting", len(packs))
	}
}
