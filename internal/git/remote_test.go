package git_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/git"
)

func TestLsRemoteTellsTipsAndTheDefaultBranch(t *testing.T) {
	up := newUpstream(t)
	first := up.commit("a", "1", "one")
	up.git("tag", "-a", "v1", "-m", "first")
	up.git("checkout", "-q", "-b", "feature")
	second := up.commit("a", "2", "two")
	up.git("checkout", "-q", "main")

	all := must(newGit(t).LsRemote(t.Context(), up.dir, git.Access{}))(t)
	if all.Default != "refs/heads/main" {
		t.Errorf("default branch %q", all.Default)
	}
	for ref, want := range map[string]string{
		"HEAD": first, "refs/heads/main": first, "refs/heads/feature": second, "refs/tags/v1^{}": first,
	} {
		if all.Tips[ref] != want {
			t.Errorf("%s stands at %s, want %s", ref, all.Tips[ref], want)
		}
	}
	one := must(newGit(t).LsRemote(t.Context(), up.dir, git.Access{}, "refs/heads/feature"))(t)
	if len(one.Tips) != 1 || one.Tips["refs/heads/feature"] != second {
		t.Errorf("asked for one branch, got %v", one.Tips)
	}
}

// TestAFolderIsAskedAsAnyOtherRemote holds what a folder answers against what git ls-remote says of it.
func TestAFolderIsAskedAsAnyOtherRemote(t *testing.T) {
	up := newUpstream(t)
	same := func(when string) {
		t.Helper()
		for _, patterns := range [][]string{
			nil, {"HEAD", "refs/heads/*"}, {"main"}, {"refs/heads/feature/*"}, {"feature/*"}, {"refs/tags/v1"}, {"HEAD"}, {"refs/*/main"},
		} {
			here := must(newGit(t).LsRemote(t.Context(), up.dir, git.Access{}, patterns...))(t)
			want := must(newGit(t).LsRemote(t.Context(), "file://"+up.dir, git.Access{}, patterns...))(t)
			if here.Default != want.Default || !maps.Equal(here.Tips, want.Tips) {
				t.Errorf("%s, of %q: %+v, want %+v", when, patterns, here, want)
			}
		}
	}
	same("empty")
	first := up.commit("a", "1", "one")
	up.git("tag", "-a", "v1", "-m", "first")
	same("of one commit")
	up.git("checkout", "-q", "-b", "feature/main")
	up.commit("a", "2", "two")
	up.git("pack-refs", "--all")
	up.git("branch", "feature/later")
	same("on a branch")
	up.git("checkout", "-q", first)
	same("on no branch")

	strict := must(git.New(git.Options{Protocols: "https"}))(t)
	if _, err := strict.LsRemote(t.Context(), up.dir, git.Access{}); !errors.Is(err, git.ErrProtocol) {
		t.Errorf("a folder where only https is allowed is %v", err)
	}
	if _, err := newGit(t).LsRemote(t.Context(), t.TempDir(), git.Access{}); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("a folder that is no repository is %v", err)
	}
}

func TestARemoteThatDoesNotAnswerIsUnreachable(t *testing.T) {
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := closed.Addr().String()
	closed.Close()
	_, err := newGit(t).LsRemote(t.Context(), "http://"+address+"/shop", git.Access{})
	var failed *git.Error
	if !errors.Is(err, git.ErrUnreachable) || !errors.As(err, &failed) || !failed.Temporary() {
		t.Errorf("a closed port gave %v", err)
	}
}

func TestARemoteThatHangsEndsWithTheTimeout(t *testing.T) {
	silent := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer silent.Close()
	g := must(git.New(git.Options{Timeout: 200 * time.Millisecond}))(t)
	if _, err := g.LsRemote(t.Context(), "http://"+silent.Addr().String()+"/shop", git.Access{}); !errors.Is(err, git.ErrTimeout) {
		t.Errorf("a silent remote gave %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("somebody pressed cancel")
	cancel(stop)
	if _, err := newGit(t).LsRemote(ctx, "http://"+silent.Addr().String()+"/shop", git.Access{}); !errors.Is(err, stop) {
		t.Errorf("cancelled, it gave %v", err)
	}
}

func TestMaskURLs(t *testing.T) {
	for text, want := range map[string]string{
		"fatal: 'https://u:p@h/x' and ssh://git@h/y": "fatal: 'https://***@h/x' and ssh://***@h/y",
		"mail ada@example.com about https://h/x":     "mail ada@example.com about https://h/x",
	} {
		if got := git.MaskURLs(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
