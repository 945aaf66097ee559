package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoLFS says that large files are wanted, and that this machine has no git-lfs.
var ErrNoLFS = errors.New("git-lfs is not installed on this machine")

// lfsConfig is what `git lfs install --local` writes, so that a script's git sees large files as unchanged.
const lfsConfig = `[filter "lfs"]
	clean = git-lfs clean -- %f
	smudge = git-lfs smudge -- %f
	process = git-lfs filter-process
	required = true
`

func (g *Git) findLFS(ctx context.Context) error {
	err := g.run(ctx, command{doing: "look for git-lfs", args: []string{"lfs", "version"}})
	if fault, ok := errors.AsType[*Error](err); ok && !fault.Temporary() && ctx.Err() == nil {
		return fmt.Errorf("large files: %w", ErrNoLFS)
	}
	return err
}

// fillIn puts the content of large files where the checkout has their pointers. What was fetched once is kept beside the
// mirror.
func (m *Mirror) fillIn(ctx context.Context, c Checkout) error {
	from, err := m.lfsRemote(ctx, c.Revision)
	if err != nil {
		return err
	}
	as, err := m.git.show(from, m.accessFor(from, c.Access))
	if err != nil {
		return err
	}
	defer as.end()
	config, err := os.OpenFile(filepath.Join(c.Dir, ".git", "config"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("set up large files: %w", err)
	}
	_, err = config.WriteString(lfsConfig)
	if err := errors.Join(err, config.Close()); err != nil {
		return fmt.Errorf("set up large files: %w", err)
	}
	err = m.git.run(ctx, command{
		doing: "fetch the large files of " + m.remote.shown,
		dir:   c.Dir,
		args:  []string{"-c", "lfs.url=" + from.url, "lfs", "pull"},
		as:    as,
	})
	if err != nil {
		return err
	}
	return m.keepLarge(filepath.Join(c.Dir, ".git", "lfs"))
}

// keepLarge moves what was fetched to the mirror, where git-lfs finds it the next time, as it finds what it borrows. In the
// checkout nothing is left: git-lfs links files to those of the mirror, and a script could write through such a link.
func (m *Mirror) keepLarge(dir string) error {
	objects := filepath.Join(dir, "objects")
	err := filepath.WalkDir(objects, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		kept := filepath.Join(m.dir, "lfs", "objects", strings.TrimPrefix(path, objects))
		if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
			return err
		}
		return os.Rename(path, kept)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep large files: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("keep large files: %w", err)
	}
	return nil
}

// lfsRemote is where the repository says that its large files are, or else where they are by git-lfs's own rule. It is told
// to git-lfs in any case, so that no other address is taken than one that was judged.
func (m *Mirror) lfsRemote(ctx context.Context, revision string) (remote, error) {
	out, err := m.read(ctx, "read .lfsconfig", "config", "--blob", revision+":.lfsconfig", "--get", "lfs.url")
	if fault, ok := errors.AsType[*Error](err); ok && (fault.Temporary() || ctx.Err() != nil) {
		return remote{}, err
	}
	if address := strings.TrimSpace(string(out)); err == nil && address != "" {
		return m.related(address)
	}
	r := m.remote
	switch r.transport {
	case overHTTPS, overHTTP:
		r.url = strings.TrimSuffix(strings.TrimRight(r.url, "/"), ".git") + ".git/info/lfs"
	case byPath:
		if !strings.HasPrefix(r.url, "file://") {
			r.url = "file://" + filepath.ToSlash(r.url)
		}
	case overSSH, overGit:
	}
	return r, nil
}
