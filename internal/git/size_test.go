package git_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/git"
)

// TestAMirrorFollowsWhateverItsRemoteDoes holds a mirror against what git clone makes of the same remote.
func TestAMirrorFollowsWhateverItsRemoteDoes(t *testing.T) {
	up := newUpstream(t)
	first := up.commit("a", "1", "one")
	second := up.commit("a", "2", "two")
	m := mirrorOf(t, "file://"+up.dir)
	for _, what := range [][]string{
		{"branch", "a"},
		{"branch", "-f", "a", first},
		{"branch", "-D", "a"},
		{"branch", "a/b"},
		{"branch", "-m", "a/b", "a/b-c"},
		{"branch", "a/d", first},
		{"tag", "v1"},
		{"tag", "-f", "v1", first},
		{"tag", "-f", "-a", "-m", "annotated", "v1", second},
		{"tag", "-d", "v1"},
		{"tag", "v1/rc"},
		{"branch", "-D", "a/b-c", "a/d"},
		{"branch", "a", first},
		{"commit", "-q", "--amend", "-m", "forced"},
		{"pack-refs", "--all"},
		{"branch", "-m", "a", "v1"},
		{"update-ref", "refs/heads/feature/x/y/z", first},
		{"update-ref", "-d", "refs/heads/feature/x/y/z"},
		{"branch", "feature", first},
	} {
		up.git(what...)
		if err := m.Fetch(t.Context(), git.Access{}); err != nil {
			t.Fatalf("after git %q: %v", what, err)
		}
		clone := filepath.Join(t.TempDir(), "clone")
		runGit(t, "", "clone", "-q", "--mirror", "file://"+up.dir, clone)
		got, want := runGit(t, m.Dir(), "for-each-ref"), runGit(t, clone, "for-each-ref")
		if got != want {
			t.Fatalf("after git %q the mirror has\n%s\nand not\n%s", what, got, want)
		}
	}
}

func TestVeryManyReferences(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	var refs bytes.Buffer
	refs.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, kind := range []string{"heads/feature", "tags"} { // in the order of the names, as git has them
		for i := range manyReferences / 2 {
			fmt.Fprintf(&refs, "%s refs/%s/%06d\n", head, kind, i)
		}
	}
	if err := os.WriteFile(filepath.Join(up.dir, ".git", "packed-refs"), refs.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	up.git("pack-refs", "--all")
	server := up.serve("bot", "s3cr3t")
	a := git.Access{User: "bot", Password: "s3cr3t"}
	timed := func(what string, do func() error) {
		t.Helper()
		began := time.Now()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s took %s", what, time.Since(began).Round(time.Millisecond))
	}
	g := newGit(t)
	for name, address := range map[string]string{"a folder": up.dir, "http": server.URL + "/shop"} {
		timed("asking "+name, func() error {
			refs, err := g.LsRemote(t.Context(), address, a, "refs/heads/*")
			if err == nil && len(refs.Tips) != manyReferences/2+1 {
				err = fmt.Errorf("%d branches", len(refs.Tips))
			}
			return err
		})
	}
	m := must(g.Open(filepath.Join(t.TempDir(), "shop.git"), server.URL+"/shop"))(t)
	timed("a first fetch", func() error { return m.Ensure(t.Context(), git.Want{Revision: head, Access: a}) })
	next := up.commit("a", "2", "two")
	timed("a fetch of one commit", func() error { return m.Ensure(t.Context(), git.Want{Revision: next, Access: a}) })
	c := git.Checkout{Revision: next, Dir: t.TempDir()}
	timed("a checkout", func() error { return m.Checkout(t.Context(), c) })
	timed("a shallow one", func() error {
		return m.Checkout(t.Context(), git.Checkout{Revision: next, Dir: filepath.Join(t.TempDir(), "x"), Depth: 1})
	})
	timed("a look at the first", func() error { return must(git.Remember(c))(t).Restore(os.RemoveAll) })
}
