package git_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

func testContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

func TestACheckoutIsARepositoryThatScriptsCanUse(t *testing.T) {
	up := newUpstream(t)
	up.write("link-target", "x")
	if err := errors.Join(os.Symlink("link-target", filepath.Join(up.dir, "link")),
		os.WriteFile(filepath.Join(up.dir, "tool.sh"), []byte("#!/bin/sh\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	up.fill()
	up.git("tag", "-a", "v1.0", "-m", "first")
	up.git("branch", "feature/a")
	head := up.commit("d1/f1", "changed\n", "more")
	m := mirrorOf(t, up.dir)
	dir := filepath.Join(t.TempDir(), "work")
	if err := errors.Join(m.Ensure(t.Context(), git.Want{Revision: head}), m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir})); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct{ want, args string }{
		{head, "rev-parse HEAD"},
		{"", "status --porcelain"},
		{"v1.0-1-g" + head[:7], "describe"},
		{up.dir, "remote get-url origin"},
		{head, "rev-parse origin/main"},
		{"HEAD", "rev-parse --abbrev-ref HEAD"},
		{"2", "rev-list --count HEAD"},
	} {
		if got := runGit(t, dir, strings.Fields(c.args)...); got != c.want {
			t.Errorf("git %s says %q, want %q", c.args, got, c.want)
		}
	}
	runGit(t, dir, "fsck", "--connectivity-only")
	if got := readFile(t, dir, "d1", "f1"); got != "changed\n" {
		t.Errorf("d1/f1 is %q", got)
	}
	if info := must(os.Stat(filepath.Join(dir, "tool.sh")))(t); info.Mode()&0o100 == 0 {
		t.Errorf("tool.sh has mode %s", info.Mode())
	}
	if target := must(os.Readlink(filepath.Join(dir, "link")))(t); target != "link-target" {
		t.Errorf("link leads to %s", target)
	}
}

func TestWhatAScriptDoesInItsCheckoutStaysThere(t *testing.T) {
	up := newUpstream(t)
	head := up.fill()
	m := mirrorOf(t, up.dir)
	dir, clean := t.TempDir(), t.TempDir()
	if err := errors.Join(m.Ensure(t.Context(), git.Want{Revision: head}), m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir})); err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "checkout", "-q", "-b", "mine")
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "commit", "-q", "-am", "mine")
	runGit(t, dir, "tag", "mine")
	mine := runGit(t, dir, "rev-parse", "HEAD")

	if must(m.Has(t.Context(), mine))(t) {
		t.Error("the script's commit reached the mirror")
	}
	if err := m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: clean}); err != nil {
		t.Fatal(err)
	}
	if tags := runGit(t, clean, "tag"); tags != "" {
		t.Errorf("the next checkout has the tag %q", tags)
	}
}

func TestAFolderInUseIsRefused(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	m := mirrorOf(t, up.dir)
	if err := m.Ensure(t.Context(), git.Want{Revision: head}); err != nil {
		t.Fatal(err)
	}
	if err := m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: up.dir}); !errors.Is(err, git.ErrOccupied) {
		t.Errorf("a folder in use gave %v", err)
	}
}

// BenchmarkCheckout compares the ways to get 51 small files, a warm mirror given.
func BenchmarkCheckout(b *testing.B) {
	up := newUpstream(b)
	head := up.fill()
	m := mirrorOf(b, up.dir)
	if err := m.Ensure(b.Context(), git.Want{Revision: head}); err != nil {
		b.Fatal(err)
	}
	ways := map[string]func(dir string){
		"ours": func(dir string) {
			if err := m.Checkout(b.Context(), git.Checkout{Revision: head, Dir: dir}); err != nil {
				b.Fatal(err)
			}
		},
		"clone-depth-1": func(dir string) { runGit(b, "", "clone", "-q", "--depth", "1", "file://"+up.dir, dir) },
		"clone-local":   func(dir string) { runGit(b, "", "clone", "-q", up.dir, dir) },
		"clone-shared":  func(dir string) { runGit(b, "", "clone", "-q", "--shared", m.Dir(), dir) },
	}
	for name, checkOut := range ways {
		b.Run(name, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "work")
			for b.Loop() {
				checkOut(dir)
				b.StopTimer()
				if err := os.RemoveAll(dir); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFetch is what a push costs before its files can be read: a tip asked for, one commit fetched.
func BenchmarkFetch(b *testing.B) {
	up := newUpstream(b)
	up.fill()
	m := mirrorOf(b, up.dir)
	if err := m.Fetch(b.Context(), git.Access{}); err != nil {
		b.Fatal(err)
	}
	g := newGit(b)
	b.Run("ls-remote", func(b *testing.B) {
		for b.Loop() {
			must(g.LsRemote(b.Context(), up.dir, git.Access{}, "HEAD", "refs/heads/*"))(b)
		}
	})
	b.Run("fetch", func(b *testing.B) {
		pushes := 0
		for b.Loop() {
			b.StopTimer()
			head := up.commit("a", strconv.Itoa(pushes), "more")
			pushes++
			b.StartTimer()
			if err := m.Ensure(b.Context(), git.Want{Revision: head}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
