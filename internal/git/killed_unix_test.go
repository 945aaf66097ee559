//go:build unix

package git_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// killedAt answers a git of which the calls of one command are killed, as the memory killer does.
func killedAt(t *testing.T, command string) *git.Git {
	t.Helper()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "git")
	script := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *\" %s \"*) kill -KILL $$ ;; esac\nexec %s \"$@\"\n", command, real)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := git.New(git.Options{Program: program})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAGitThatWasKilledIsWorthAnotherTry(t *testing.T) {
	u := newUpstream(t)
	revision := u.commit("greeting", "hello", "begin")
	mirror := func(g *git.Git) *git.Mirror {
		return must(g.Open(filepath.Join(t.TempDir(), "shop.git"), u.dir))(t)
	}
	whole := mirror(newGit(t))
	if err := whole.Fetch(t.Context(), git.Access{}); err != nil {
		t.Fatal(err)
	}
	for command, do := range map[string]func() error{
		"clone": func() error { return mirror(killedAt(t, "clone")).Fetch(t.Context(), git.Access{}) },
		"cat-file": func() error {
			m := must(killedAt(t, "cat-file").Open(whole.Dir(), u.dir))(t)
			return m.Read(t.Context(), func(o *git.Objects) error {
				_, err := o.Commit(revision)
				return err
			})
		},
	} {
		err := do()
		failure, is := errors.AsType[*git.Error](err)
		if !errors.Is(err, git.ErrKilled) || !is || !failure.Temporary() {
			t.Errorf("a %s that was killed is %v", command, err)
		}
	}
}
