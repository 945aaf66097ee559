package git_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"strings"
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

	all := must(newGit(t).LsRemote(t.Context(), up.dir))(t)
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
	one := must(newGit(t).LsRemote(t.Context(), up.dir, "refs/heads/feature"))(t)
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
			here := must(newGit(t).LsRemote(t.Context(), up.dir, patterns...))(t)
			want := must(newGit(t).LsRemote(t.Context(), "file://"+up.dir, patterns...))(t)
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
	if _, err := strict.LsRemote(t.Context(), up.dir); !errors.Is(err, git.ErrRefused) {
		t.Errorf("a folder where only https is allowed is %v", err)
	}
	if _, err := newGit(t).LsRemote(t.Context(), t.TempDir()); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("a folder that is no repository is %v", err)
	}
}

func TestWhatCouldRunACommandIsRefused(t *testing.T) {
	for _, address := range []string{
		"", "--upload-pack=touch /tmp/x", "-oProxyCommand=x", "ext::sh -c id", "fd::17", "https://host/a\nb",
		"https://u:%zz@host/x", "https://u:p%0aurl=x@host/x",
	} {
		if _, err := newGit(t).LsRemote(t.Context(), address); !errors.Is(err, git.ErrUnsafe) {
			t.Errorf("%q: %v", address, err)
		}
		if _, err := newGit(t).Open(t.TempDir(), address); !errors.Is(err, git.ErrUnsafe) {
			t.Errorf("open %q: %v", address, err)
		}
	}
	for _, ref := range []string{"--exec=x", "refs/heads/a b", "refs/heads/a\x01"} {
		if _, err := newGit(t).LsRemote(t.Context(), t.TempDir(), ref); !errors.Is(err, git.ErrUnsafe) {
			t.Errorf("reference %q: %v", ref, err)
		}
	}
}

func TestAProtocolThatIsNotAllowedIsRefused(t *testing.T) {
	_, err := newGit(t).LsRemote(t.Context(), "git://127.0.0.1:1/shop")
	if !errors.Is(err, git.ErrRefused) {
		t.Errorf("git:// gave %v", err)
	}
}

func TestCredentialsAreUsedAndNeverShown(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("a", "1", "one")
	server := up.serve("bot", "s3cr3t/+")
	host := strings.TrimPrefix(server.URL, "http://")

	refs := must(newGit(t).LsRemote(t.Context(), "http://bot:s3cr3t%2F+@"+host+"/shop"))(t)
	if refs.Tips["refs/heads/main"] != head {
		t.Errorf("tips %v", refs.Tips)
	}
	_, err := newGit(t).LsRemote(t.Context(), "http://bot:wr0ng@"+host+"/shop")
	if !errors.Is(err, git.ErrRefused) || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("a wrong password gave %v", err)
	}
	_, err = newGit(t).LsRemote(t.Context(), server.URL+"/shop")
	if !errors.Is(err, git.ErrRefused) {
		t.Errorf("no password gave %v", err)
	}
	_, err = newGit(t).LsRemote(t.Context(), "http://bot:s3cr3t%2F+@"+host+"/nothing")
	if !errors.Is(err, git.ErrNotFound) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a missing repository gave %v", err)
	}

	m := mirrorOf(t, "http://bot:s3cr3t%2F+@"+host+"/shop")
	dir := t.TempDir()
	if err := errors.Join(m.Ensure(t.Context(), head), m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir})); err != nil {
		t.Fatal(err)
	}
	if config := readFile(t, dir, ".git", "config"); strings.Contains(config, "s3cr3t") || !strings.Contains(config, server.URL) {
		t.Errorf("the checkout's configuration:\n%s", config)
	}
}

func TestARemoteThatDoesNotAnswerIsUnreachable(t *testing.T) {
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := closed.Addr().String()
	closed.Close()
	_, err := newGit(t).LsRemote(t.Context(), "http://"+address+"/shop")
	var failed *git.Error
	if !errors.Is(err, git.ErrUnreachable) || !errors.As(err, &failed) || !failed.Temporary() {
		t.Errorf("a closed port gave %v", err)
	}
}

func TestARemoteThatHangsEndsWithTheTimeout(t *testing.T) {
	silent := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer silent.Close()
	g := must(git.New(git.Options{Timeout: 200 * time.Millisecond}))(t)
	if _, err := g.LsRemote(t.Context(), "http://"+silent.Addr().String()+"/shop"); !errors.Is(err, git.ErrTimeout) {
		t.Errorf("a silent remote gave %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("somebody pressed cancel")
	cancel(stop)
	if _, err := newGit(t).LsRemote(ctx, "http://"+silent.Addr().String()+"/shop"); !errors.Is(err, stop) {
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
