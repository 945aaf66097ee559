package git_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/git"
)

// reading has a test read what a mirror of the repository holds.
func (u *upstream) reading(read func(*git.Objects)) *git.Mirror {
	u.t.Helper()
	m := mirrorOf(u.t, u.dir)
	if err := m.Fetch(u.t.Context(), git.Access{}); err != nil {
		u.t.Fatal(err)
	}
	err := m.Read(u.t.Context(), func(o *git.Objects) error { read(o); return nil })
	if err != nil {
		u.t.Fatal(err)
	}
	return m
}

func TestACommitIsReadWithItsFiles(t *testing.T) {
	up := newUpstream(t)
	first := up.commit("towpath.yaml", "pipeline: shop\n", "One\n\nWith a body.")
	up.write(".towpath/web.yaml", "pipeline: web\n")
	up.write(".towpath/deep/x", "")
	second := up.commit("towpath.yaml", "pipeline: shop2\n", "Two")
	up.reading(func(o *git.Objects) {
		one, two := must(o.Commit(first))(t), must(o.Commit(second))(t)
		if one.AuthorName != "Ada Lovelace" || one.AuthorEmail != "ada@example.com" || one.Message != "One\n\nWith a body." || one.Subject() != "One" || len(one.Parents) != 0 {
			t.Errorf("commit %+v", one)
		}
		if age := time.Since(one.AuthoredAt); age < -time.Minute || age > time.Hour || !one.CommittedAt.Equal(one.AuthoredAt) {
			t.Errorf("authored at %s, committed at %s", one.AuthoredAt, one.CommittedAt)
		}
		if !slices.Equal(two.Parents, []string{first}) {
			t.Errorf("commit %+v", two)
		}
		for name, want := range map[string]string{"towpath.yaml": "pipeline: shop2\n", ".towpath/web.yaml": "pipeline: web\n", ".towpath/deep/x": ""} {
			if got := must(o.File(two, name))(t); string(got) != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		if got := must(o.File(one, "./towpath.yaml"))(t); string(got) != "pipeline: shop\n" {
			t.Errorf("towpath.yaml was %q", got)
		}
		if got := must(o.List(two, ".towpath/"))(t); !slices.Equal(got, []string{"web.yaml"}) {
			t.Errorf("list %q", got)
		}
		if got := must(o.List(two, ""))(t); !slices.Equal(got, []string{"towpath.yaml"}) {
			t.Errorf("list of the root %q", got)
		}
		for _, missing := range []string{".towpath/web.yaml", "towpath.yaml/x", "../../etc/passwd", "/etc/passwd", ""} {
			if _, err := o.File(one, missing); !errors.Is(err, git.ErrNotFound) {
				t.Errorf("file %q gave %v", missing, err)
			}
		}
		for _, missing := range []string{".towpath", "towpath.yaml", ".."} {
			if _, err := o.List(one, missing); !errors.Is(err, git.ErrNotFound) {
				t.Errorf("folder %q gave %v", missing, err)
			}
		}
		if _, err := o.File(two, ".towpath"); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("a folder is the file %v", err)
		}
		if _, err := o.Commit(strings.Repeat("1", 40)); !errors.Is(err, git.ErrNotFound) {
			t.Errorf("a commit that is not there gave %v", err)
		}
		must(o.Commit(first))(t) // what failed disturbs nothing that comes after
	})
}

// TestChangesAreThoseThatGitFinds holds the paths against git's own list, over a history with every kind of change.
func TestChangesAreThoseThatGitFinds(t *testing.T) {
	up := newUpstream(t)
	up.write("folder/a", "a")
	up.write("folder/inner/b", "b")
	up.write("folder-x", "x")
	revisions := []string{up.commit("file", "file", "begin")}
	for _, change := range []func(){
		func() { up.write("folder/inner/b", "B") },
		func() { up.git("mv", "file", "moved") },
		func() { up.git("rm", "-q", "-r", "folder"); up.write("folder", "now a file") },
		func() { up.git("rm", "-q", "folder"); up.write("folder/again/c", "now a folder") },
		func() {
			up.git("update-index", "--chmod=+x", "moved")
			up.do(os.Chmod(filepath.Join(up.dir, "moved"), 0o755))
		},
		func() { up.do(os.Symlink("moved", filepath.Join(up.dir, "link"))) },
		func() {
			up.git("update-index", "--add", "--cacheinfo", "160000,"+revisions[0]+",submodule")
		},
		func() { up.write("später/ö.txt", "ö") },
	} {
		change()
		up.git("add", ".", ":!submodule")
		up.git("commit", "-q", "-m", "change")
		revisions = append(revisions, up.git("rev-parse", "HEAD"))
	}
	up.reading(func(o *git.Objects) {
		for i, from := range revisions {
			for _, to := range revisions[i:] {
				want := strings.FieldsFunc(up.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to), func(r rune) bool { return r == 0 })
				slices.Sort(want)
				got := must(o.Changed(must(o.Commit(from))(t), must(o.Commit(to))(t)))(t)
				if !slices.Equal(got, want) {
					t.Errorf("from %s to %s: %q, want %q", from, to, got, want)
				}
			}
		}
	})
}

func (u *upstream) do(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

// raw stores a commit word for word, and has a branch stand there.
func (u *upstream) raw(head, message string) string {
	u.t.Helper()
	tree := u.git("rev-parse", "HEAD^{tree}")
	command := exec.Command("git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	command.Dir = u.dir
	command.Stdin = strings.NewReader("tree " + tree + "\n" + head + "\n" + message)
	out, err := command.Output()
	u.do(err)
	hash := strings.TrimSpace(string(out))
	u.git("update-ref", "refs/heads/raw", hash)
	return hash
}

func TestCommitsOfEveryForm(t *testing.T) {
	const by = "author Ada <ada@example.com> 1700000000 +0100\ncommitter Ada <ada@example.com> 1700000001 +0100\n"
	for _, c := range []struct{ head, message, name, email, want string }{
		{by, "\n", "Ada", "ada@example.com", ""},
		{by + "gpgsig -----BEGIN\n author Eve <eve@example.com> 1 +0000\n \n -----END\n", "Signed\n", "Ada", "ada@example.com", "Signed"},
		{by + "encoding ISO-8859-1\n", "Gr\xfc\xdfe\n", "Ada", "ada@example.com", "Grüße"},
		{by + "encoding utf-8\n", "Grüße\n\n\n", "Ada", "ada@example.com", "Grüße"},
		{"author Ada <> 1700000000 +0100\ncommitter Ada <> 1700000001 +0100\n", "No address\n", "Ada", "", "No address"},
		{"author Ada <ada@example.com>\ncommitter Ada <ada@example.com> 1700000001 +0100\n", "No time\n", "Ada", "ada@example.com", "No time"},
	} {
		up := newUpstream(t)
		up.commit("a", "1", "one")
		hash := up.raw(c.head, c.message)
		up.reading(func(o *git.Objects) {
			got, err := o.Commit(hash)
			if err != nil || got.AuthorName != c.name || got.AuthorEmail != c.email || got.Message != c.want {
				t.Errorf("%q is read as %+v, %v", c.head, got, err)
			}
			if files, err := o.List(got, ""); err != nil || len(files) != 1 {
				t.Errorf("%q has the files %q, %v", c.head, files, err)
			}
		})
	}
}

func TestWhatIsTooMuchIsRefusedAndTheRestIsRead(t *testing.T) {
	up := newUpstream(t)
	up.write("large", strings.Repeat("0123456789abcdef", git.MaxFileBytes/16+1))
	head := up.commit("small", "1", "one")
	// A folder that holds itself many times over, as hostile repositories do.
	blob, mode := up.git("hash-object", "-w", "small"), "100644 blob"
	for range 8 {
		var lines strings.Builder
		for n := range 10 {
			fmt.Fprintf(&lines, "%s %s\tn%d\n", mode, blob, n)
		}
		command := exec.Command("git", "mktree")
		command.Dir, command.Stdin = up.dir, strings.NewReader(lines.String())
		out, err := command.Output()
		up.do(err)
		blob, mode = strings.TrimSpace(string(out)), "040000 tree"
	}
	bomb := up.git("commit-tree", "-m", "bomb", "-p", head, blob)
	up.git("update-ref", "refs/heads/bomb", bomb)
	up.reading(func(o *git.Objects) {
		one, two := must(o.Commit(head))(t), must(o.Commit(bomb))(t)
		if _, err := o.File(one, "large"); !errors.Is(err, git.ErrTooLarge) {
			t.Errorf("a large file gave %v", err)
		}
		if _, err := o.Changed(one, two); !errors.Is(err, git.ErrTooLarge) {
			t.Errorf("a hundred million files gave %v", err)
		}
		if got := must(o.File(one, "small"))(t); string(got) != "1" {
			t.Errorf("then a small file is %q", got)
		}
	})
}

func TestAFolderThatIsMissingIsDamage(t *testing.T) {
	up := newUpstream(t)
	head := up.commit("folder/a", "1", "one")
	m := up.reading(func(*git.Objects) {})
	hash := up.git("rev-parse", head+":folder")
	// The objects are in a pack or loose: loose ones can be taken away one by one.
	packs, err := filepath.Glob(filepath.Join(m.Dir(), "objects", "pack", "*.pack"))
	up.do(err)
	for _, pack := range packs {
		moved := filepath.Join(t.TempDir(), "pack")
		up.do(os.Rename(pack, moved))
		content, err := os.Open(moved)
		up.do(err)
		command := exec.Command("git", "--git-dir="+m.Dir(), "unpack-objects", "-q")
		command.Stdin = content
		up.do(command.Run())
		up.do(content.Close())
	}
	up.do(os.Remove(filepath.Join(m.Dir(), "objects", hash[:2], hash[2:])))
	err = m.Read(t.Context(), func(o *git.Objects) error {
		_, err := o.List(must(o.Commit(head))(t), "folder")
		return err
	})
	if !errors.Is(err, git.ErrDamaged) || errors.Is(err, git.ErrNotFound) {
		t.Errorf("a folder that is missing is %v", err)
	}
}
