package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Checkout says what stands where.
type Checkout struct {
	Revision string // full hash, held by the mirror
	Dir      string // made; must be missing or empty
	Depth    int    // commits of history that are seen there, counted from the revision; 0 is all
	LFS      bool   // with the content of large files, by git-lfs
	Access   Access // for large files, and for submodules on the repository's own host
	// Mirrors answers the mirror of a submodule's repository; nil leaves submodules' folders empty.
	Mirrors func(address string) (*Mirror, error)
}

// ErrOccupied says that the folder of a checkout is not empty.
var ErrOccupied = errors.New("folder not empty")

// Checkout writes a revision's files into a folder, with a .git of its own in which scripts can use git: HEAD
// stands detached at the revision, branches are those of origin, tags are there, objects are borrowed from the
// mirror. What scripts do in there never reaches the mirror.
//
// The .git is written by hand, since `git clone` costs ten processes and this one.
func (m *Mirror) Checkout(ctx context.Context, c Checkout) error {
	return m.checkOut(ctx, c, &nest{})
}

func (m *Mirror) checkOut(ctx context.Context, c Checkout, n *nest) error {
	if err := checkHash(c.Revision); err != nil {
		return err
	}
	if c.LFS {
		if err := m.git.findLFS(ctx); err != nil {
			return err
		}
	}
	dir, err := emptyDir(c.Dir)
	if err != nil {
		return err
	}
	c.Dir = dir
	doing := "check out " + c.Revision
	if err := m.writeGitDir(ctx, filepath.Join(dir, ".git"), c.Revision, c.Depth); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err = m.git.run(ctx, command{
		doing: doing,
		dir:   dir,
		args:  append(slices.Clone(manyHands), "--git-dir=.git", "--work-tree=.", "read-tree", "-m", "-u", c.Revision),
	})
	if err == nil && c.LFS {
		err = m.fillIn(ctx, c)
	}
	if err == nil && c.Mirrors != nil {
		err = m.checkOutSubmodules(ctx, c, n)
	}
	return err
}

// manyHands lets git write files in as many processes as there are processors, where there are enough files for that.
var manyHands = []string{"-c", "checkout.workers=0"}

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
func (m *Mirror) writeGitDir(ctx context.Context, dir, revision string, depth int) error {
	seen, err := m.history(ctx, revision, depth)
	if err != nil {
		return err
	}
	refs, err := m.packedRefs(seen)
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
	if len(seen.shallow) > 0 {
		files["shallow"] = []byte(strings.Join(seen.shallow, "\n") + "\n")
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

// packedRefs is the mirror's file of references as a clone would have it: branches under origin, and the tags, as far as
// the history goes. The order of the lines is kept by both, so the file stays sorted, as its header says.
func (m *Mirror) packedRefs(seen history) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(m.dir, "packed-refs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the mirror's references: %w", err)
	}
	var out bytes.Buffer
	if seen.isWhole() {
		out.Grow(len(content) * 3 / 2)
	}
	for len(content) > 0 {
		line, rest := cutLine(content)
		var peeled []byte // what an annotated tag names, on the line behind it
		if len(rest) > 0 && rest[0] == '^' {
			peeled, rest = cutLine(rest)
		}
		content = rest
		hash, name, _ := bytes.Cut(line, []byte(" "))
		commit := hash
		if len(peeled) > 0 {
			commit = bytes.TrimSpace(peeled[1:])
		}
		switch {
		case line[0] == '#':
			out.Write(line)
		case !seen.holds(commit):
		case bytes.HasPrefix(name, []byte("refs/heads/")):
			fmt.Fprintf(&out, "%s refs/remotes/origin/%s", hash, name[len("refs/heads/"):])
		case bytes.HasPrefix(name, []byte("refs/tags/")):
			out.Write(line)
			out.Write(peeled)
		}
	}
	return out.Bytes(), nil
}

// cutLine cuts behind the first line's end.
func cutLine(content []byte) (line, rest []byte) {
	if end := bytes.IndexByte(content, '\n'); end >= 0 {
		return content[:end+1], content[end+1:]
	}
	return content, nil
}
