package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Checkout says what stands where.
type Checkout struct {
	Revision   string // full hash, held by the mirror
	Dir        string // made; must be missing or empty
	Submodules bool   // not supported yet
	LFS        bool   // not supported yet
}

// ErrOccupied says that the folder of a checkout is not empty.
var ErrOccupied = errors.New("folder not empty")

// Checkout writes a revision's files into a folder, with a .git of its own in which scripts can use git: HEAD
// stands detached at the revision, branches are those of origin, tags are there, objects are borrowed from the
// mirror. What scripts do in there never reaches the mirror.
//
// The .git is written by hand, since `git clone` costs ten processes and this one.
func (m *Mirror) Checkout(ctx context.Context, c Checkout) error {
	if c.Submodules || c.LFS {
		return fmt.Errorf("check out submodules or LFS files: %w", ErrUnsupported)
	}
	if err := checkHash(c.Revision); err != nil {
		return err
	}
	dir, err := emptyDir(c.Dir)
	if err != nil {
		return err
	}
	if err := m.writeGitDir(filepath.Join(dir, ".git"), c.Revision); err != nil {
		return fmt.Errorf("check out %s: %w", c.Revision, err)
	}
	return m.git.run(ctx, command{
		doing: "check out " + c.Revision,
		dir:   dir,
		args:  []string{"--git-dir=.git", "--work-tree=.", "read-tree", "-m", "-u", c.Revision},
	})
}

func emptyDir(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("check out into %s: %w", dir, err)
	}
	if err := os.MkdirAll(absolute, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of a checkout: %w", err)
	}
	entries, err := os.ReadDir(absolute)
	if err != nil {
		return "", fmt.Errorf("look into the folder of a checkout: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("check out into %s: %w", dir, ErrOccupied)
	}
	return absolute, nil
}

// writeGitDir writes what gitrepository-layout(5) asks of a repository at the least.
func (m *Mirror) writeGitDir(dir, revision string) error {
	refs, err := m.packedRefs()
	if err != nil {
		return err
	}
	for _, sub := range []string{"objects/info", "refs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	files := map[string][]byte{
		"HEAD":                    []byte(revision + "\n"),
		"objects/info/alternates": []byte(filepath.ToSlash(filepath.Join(m.dir, "objects")) + "\n"),
		"packed-refs":             refs,
		"config":                  m.config(),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mirror) config() []byte {
	var b bytes.Buffer
	b.WriteString("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogallrefupdates = true\n" + platformConfig)
	fmt.Fprintf(&b, "[remote \"origin\"]\n\turl = %q\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", m.remote.url)
	return b.Bytes()
}

// packedRefs is the mirror's file of references as a clone would have it: branches under origin, and the tags. The
// order of the lines is kept by both, so the file stays sorted, as its header says.
func (m *Mirror) packedRefs() ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(m.dir, "packed-refs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the mirror's references: %w", err)
	}
	var out bytes.Buffer
	out.Grow(len(content) * 3 / 2)
	kept := true
	for line := range bytes.Lines(content) {
		switch hash, name, _ := bytes.Cut(line, []byte(" ")); {
		case bytes.HasPrefix(name, []byte("refs/heads/")):
			kept = true
			fmt.Fprintf(&out, "%s refs/remotes/origin/%s", hash, name[len("refs/heads/"):])
		case line[0] == '#', bytes.HasPrefix(name, []byte("refs/tags/")):
			kept = true
			out.Write(line)
		case line[0] == '^' && kept: // what the tag on the line above names
			out.Write(line)
		default:
			kept = false
		}
	}
	return out.Bytes(), nil
}
