package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"
)

// Selection says which files of a folder make a tree.
type Selection struct {
	Dir      string
	Patterns []string // globs with ** over the path below Dir; none means everything
	Limits   Limits
}

// Scan lists a folder and hashes its files. Sockets, devices, pipes, links that may lead out and names that are
// not UTF-8 are refused.
func Scan(ctx context.Context, s Selection) (Manifest, error) {
	m, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.Dir, err)
	}
	slices.SortFunc(m, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	if err := m.Check(s.Limits); err != nil {
		return nil, fmt.Errorf("keep %s: %w", s.Dir, err)
	}
	if err := m.hash(ctx, s.Dir); err != nil {
		return nil, fmt.Errorf("hash %s: %w", s.Dir, err)
	}
	return m, nil
}

func (s Selection) list(ctx context.Context) (Manifest, error) {
	var m Manifest
	err := filepath.WalkDir(s.Dir, func(name string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		relative, err := filepath.Rel(s.Dir, name)
		relative = filepath.ToSlash(relative)
		if err != nil || relative == "." || !d.IsDir() && !s.wants(relative) {
			return err
		}
		e, kept, err := entryOf(name, relative, d)
		if err == nil && kept && s.wants(relative) {
			m = append(m, e)
		}
		return err
	})
	return m, err
}

func (s Selection) wants(name string) bool {
	return len(s.Patterns) == 0 || slices.ContainsFunc(s.Patterns, func(pattern string) bool {
		matched, err := doublestar.Match(pattern, name)
		return matched && err == nil
	})
}

// entryOf describes a thing in a folder. A folder with content is not kept: its content names it.
func entryOf(name, relative string, d fs.DirEntry) (e Entry, kept bool, err error) {
	e.Path = relative
	switch kind := d.Type(); {
	case kind.IsDir():
		e.Kind = Folder
		empty, err := isEmpty(name)
		return e, empty, err
	case kind == fs.ModeSymlink:
		e.Kind = Link
		target, err := os.Readlink(name)
		e.Target = filepath.ToSlash(target)
		return e, true, err
	case !kind.IsRegular():
		return e, false, fmt.Errorf("%q is neither file, folder nor link but %s: %w", relative, kind, ErrUnsafe)
	}
	info, err := d.Info()
	if err != nil {
		return e, false, err
	}
	e.Kind, e.Size = File, info.Size()
	if info.Mode().Perm()&0o111 != 0 {
		e.Kind = Executable
	}
	return e, true, nil
}

func isEmpty(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// hash fills in the digests, with one goroutine a core.
func (m Manifest) hash(ctx context.Context, dir string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *Entry)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buffer := make([]byte, 256<<10)
			for e := range next {
				if err := e.hash(dir, buffer); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range m {
		if !m[i].IsFile() {
			continue
		}
		select {
		case next <- &m[i]:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

func (e *Entry) hash(dir string, buffer []byte) error {
	file, err := openPlain(dir, e.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	e.Size, err = io.CopyBuffer(sum, struct{ io.Reader }{file}, buffer)
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	sum.Sum(e.Digest[:0])
	return nil
}

// openPlain opens a file of the tree, and not what a link leads to that took its place meanwhile.
func openPlain(dir, name string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, filepath.FromSlash(name)), os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return file, nil
}

// Verify says whether a folder holds exactly the tree; if not, an ErrMismatch names the first difference.
func Verify(ctx context.Context, dir string, want Manifest) error {
	got, err := Scan(ctx, Selection{Dir: dir})
	if err != nil {
		return err
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want) || i < len(got) && got[i].Path < want[i].Path:
			return fmt.Errorf("verify %s: %q is not part of the artifact: %w", dir, got[i].Path, ErrMismatch)
		case i >= len(got) || got[i].Path > want[i].Path:
			return fmt.Errorf("verify %s: %q is missing: %w", dir, want[i].Path, ErrMismatch)
		case got[i] != want[i]:
			return fmt.Errorf("verify %s: %q was changed: %w", dir, got[i].Path, ErrMismatch)
		}
	}
	return nil
}
