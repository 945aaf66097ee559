//go:build unix

package git_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/git"
)

// trap is a program whose run is noticed.
type trap struct {
	t       *testing.T
	program string
	sprung  string
}

func newTrap(t *testing.T) trap {
	t.Helper()
	dir := t.TempDir()
	p := trap{t, filepath.Join(dir, "trap"), filepath.Join(dir, "sprung")}
	script := "#!/bin/sh\necho \"$0 $*\" >>" + p.sprung + "\ncat 2>/dev/null\n"
	if err := os.WriteFile(p.program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p trap) mustBeUntouched(when string) {
	p.t.Helper()
	if said, err := os.ReadFile(p.sprung); err == nil {
		p.t.Fatalf("%s ran the trap: %s", when, said)
	}
}

// config has git run the program wherever a setting can name one.
func (p trap) config() string {
	return strings.ReplaceAll(`[core]
	fsmonitor = TRAP
	sshCommand = TRAP
	hooksPath = HOOKS
	askPass = TRAP
	gitProxy = TRAP
	pager = TRAP
	editor = TRAP
	alternateRefsCommand = TRAP
	attributesFile = ATTRIBUTES
[credential]
	helper = TRAP
[filter "evil"]
	smudge = TRAP
	clean = TRAP
	required = true
[diff "evil"]
	textconv = TRAP
	command = TRAP
[diff]
	external = TRAP
[uploadpack]
	packObjectsHook = TRAP
[protocol]
	allow = always
[remote "origin"]
	uploadpack = TRAP
[gpg]
	program = TRAP
[submodule]
	recurse = true
[url "ext::TRAP "]
	insteadOf = http
	insteadOf = /
	insteadOf = file
`, "TRAP", p.program)
}

// setAround sets traps in all that a machine or its user can set up for git.
func (p trap) setAround() {
	home := p.t.TempDir()
	hooks, attributes := filepath.Join(home, "hooks"), filepath.Join(home, ".config", "git", "attributes")
	write := func(path, content string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, hook := range []string{"post-checkout", "reference-transaction", "pre-auto-gc", "post-index-change", "fsmonitor-watchman"} {
		write(filepath.Join(hooks, hook), "#!/bin/sh\nexec "+p.program+" hook\n")
	}
	config := strings.NewReplacer("HOOKS", hooks, "ATTRIBUTES", attributes).Replace(p.config())
	write(attributes, "* filter=evil diff=evil\n")
	write(filepath.Join(home, ".gitconfig"), config)
	write(filepath.Join(home, ".config", "git", "config"), config)
	for name, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "GIT_CONFIG_GLOBAL": filepath.Join(home, ".gitconfig"),
		"GIT_SSH_COMMAND": p.program, "GIT_SSH": p.program, "GIT_ASKPASS": p.program, "SSH_ASKPASS": p.program,
		"GIT_EXTERNAL_DIFF": p.program, "GIT_PROXY_COMMAND": p.program, "GIT_TEMPLATE_DIR": filepath.Dir(hooks), "GIT_PAGER": p.program,
		"GIT_ALLOW_PROTOCOL": "ext:file:http:https:ssh", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": p.program,
		"GIT_DIR": home, "GIT_WORK_TREE": home, "GIT_INDEX_FILE": filepath.Join(home, "index"), "DISPLAY": ":7",
	} {
		p.t.Setenv(name, value)
	}
}

func TestNothingThatIsSetUpAroundItIsRun(t *testing.T) {
	up := newUpstream(t)
	up.write(".gitattributes", "* filter=evil diff=evil\n")
	first := up.commit("a", "1", "one")
	up.git("tag", "-a", "v1", "-m", "first")
	second := up.commit("a", "2", "two")
	server := up.serve("bot", "s3cr3t")
	p := newTrap(t)
	for _, hook := range []string{"post-checkout", "reference-transaction", "pre-receive", "post-index-change"} {
		if err := os.WriteFile(filepath.Join(up.dir, ".git", "hooks", hook), []byte("#!/bin/sh\nexec "+p.program+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(up.dir, ".git", "config"), []byte("[core]\n\trepositoryformatversion = 0\n"+p.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.setAround()
	g := newGit(t)
	a := git.Access{User: "bot", Password: "s3cr3t"}
	for _, address := range []string{up.dir, "file://" + up.dir, server.URL + "/shop"} {
		for _, patterns := range [][]string{nil, {"HEAD", "refs/heads/*"}} {
			if _, err := g.LsRemote(t.Context(), address, a, patterns...); err != nil {
				t.Fatal(err)
			}
			p.mustBeUntouched("asking " + address)
		}
		m := must(g.Open(filepath.Join(t.TempDir(), "shop.git"), address))(t)
		c := git.Checkout{Revision: first, Dir: t.TempDir()}
		if err := errors.Join(m.Ensure(t.Context(), git.Want{Revision: second, Access: a}), m.Fetch(t.Context(), a), m.Checkout(t.Context(), c)); err != nil {
			t.Fatal(err)
		}
		p.mustBeUntouched("a checkout of " + address)
		kept := must(git.Remember(c))(t)
		if err := m.Switch(t.Context(), kept, second); err != nil {
			t.Fatal(err)
		}
		p.mustBeUntouched("turning a checkout of " + address)
		if got := readFile(t, c.Dir, "a"); got != "2" {
			t.Errorf("a is %q", got)
		}
	}
}

func TestWhatAScriptLeavesInItsGitFolderIsNotRun(t *testing.T) {
	up := newUpstream(t)
	up.write(".gitattributes", "* filter=evil\n")
	first, second := up.commit("a", "1", "one"), up.commit("a", "2", "two")
	m := mirrorOf(t, up.dir)
	if err := m.Ensure(t.Context(), git.Want{Revision: second}); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	for name, tamper := range map[string]func(dir string, p trap) error{
		"config": func(dir string, p trap) error {
			return os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tworktree = "+outside+"\n"+p.config()), 0o600)
		},
		"hook": func(dir string, p trap) error {
			hook := filepath.Join(dir, ".git", "hooks", "post-checkout")
			return errors.Join(os.MkdirAll(filepath.Dir(hook), 0o700), os.WriteFile(hook, []byte("#!/bin/sh\nexec "+p.program+"\n"), 0o700))
		},
		"alternates": func(dir string, _ trap) error {
			return os.WriteFile(filepath.Join(dir, ".git", "objects", "info", "alternates"), []byte(outside+"\n"), 0o600)
		},
		"a link instead of .git": func(dir string, p trap) error {
			elsewhere := filepath.Join(t.TempDir(), "git")
			err := os.Rename(filepath.Join(dir, ".git"), elsewhere)
			config := os.WriteFile(filepath.Join(elsewhere, "config"), []byte("[core]\n\trepositoryformatversion = 0\n"+p.config()), 0o600)
			return errors.Join(err, config, os.Symlink(elsewhere, filepath.Join(dir, ".git")))
		},
		"a file instead of .git": func(dir string, _ trap) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, ".git")), os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: "+outside+"\n"), 0o600))
		},
	} {
		p := newTrap(t)
		c := git.Checkout{Revision: first, Dir: t.TempDir()}
		if err := m.Checkout(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		kept := must(git.Remember(c))(t)
		if err := tamper(c.Dir, p); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(kept.Restore(os.RemoveAll), m.Switch(t.Context(), kept, second)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.mustBeUntouched(name)
		if got := readFile(t, c.Dir, "a"); got != "2" {
			t.Errorf("%s: a is %q", name, got)
		}
		if left := must(os.ReadDir(outside))(t); len(left) != 0 {
			t.Errorf("%s: outside there is %s", name, left)
		}
	}
}

// TestATreeThatLeavesItsFolderIsRefused makes trees that git itself would not: whoever pushes can.
func TestATreeThatLeavesItsFolderIsRefused(t *testing.T) {
	outside := t.TempDir()
	up := newUpstream(t)
	up.commit("a", "1", "one")
	blob := up.git("hash-object", "-w", "a")
	tree := func(entries ...string) string {
		cmd := exec.Command("git", "mktree")
		cmd.Dir, cmd.Stdin = up.dir, strings.NewReader(strings.Join(entries, "\n")+"\n")
		return strings.TrimSpace(string(must(cmd.Output())(t)))
	}
	up.write("link", outside)
	link := up.git("hash-object", "-w", "link")
	file := tree("100644 blob " + blob + "\tconfig")
	hash := func(content string) string {
		cmd := exec.Command("git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
		cmd.Dir, cmd.Stdin = up.dir, strings.NewReader(content)
		return strings.TrimSpace(string(must(cmd.Output())(t)))
	}
	entry := func(mode, name, object string) string {
		var raw []byte
		if _, err := fmt.Sscanf(object, "%x", &raw); err != nil {
			t.Fatal(err)
		}
		return mode + " " + name + "\x00" + string(raw)
	}
	for name, root := range map[string]string{
		".git":       hash(entry("40000", ".git", file)),
		".GIT":       hash(entry("40000", ".GIT", file)),
		"..":         hash(entry("40000", "..", file)),
		"git~1":      hash(entry("40000", "git~1", file)),
		"slash":      hash(entry("100644", "../escaped", blob)),
		"absolute":   hash(entry("100644", outside+"/escaped", blob)),
		"link first": hash(entry("120000", "x", link) + entry("40000", "x", file)),
		".git link":  hash(entry("120000", ".git", link)),
	} {
		head := up.git("commit-tree", "-m", name, root)
		up.git("update-ref", "refs/heads/evil", head)
		m := mirrorOf(t, up.dir)
		parent := t.TempDir()
		dir := filepath.Join(parent, "work")
		err := m.Ensure(t.Context(), git.Want{Revision: head})
		if err == nil {
			err = m.Checkout(t.Context(), git.Checkout{Revision: head, Dir: dir})
		}
		if config, readErr := os.ReadFile(filepath.Join(dir, ".git", "config")); readErr == nil && !strings.Contains(string(config), "repositoryformatversion") {
			t.Errorf("%s has written into .git: %s", name, config)
		}
		if err == nil && name != "link first" {
			t.Errorf("%s was checked out", name)
		}
		if left := must(os.ReadDir(outside))(t); len(left) != 0 {
			t.Errorf("%s: outside there is %s", name, left)
		}
		if left := must(os.ReadDir(parent))(t); len(left) > 1 {
			t.Errorf("%s: beside the checkout there is %s", name, left)
		}
	}
}
