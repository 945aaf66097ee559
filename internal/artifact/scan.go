package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make(chan *Entry, 64)
	var hashing sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		hashing.Go(func() {
			h := hasher{sum: sha256.New(), buffer: make([]byte, 256<<10)}
			for e := range found {
				if err := h.hash(s.Dir, e); err != nil {
					cancel(fmt.Errorf("hash %s: %w", s.Dir, err))
				}
			}
		})
	}
	entries, err := s.list(ctx, found)
	close(found)
	hashing.Wait()
	if broken := context.Cause(ctx); broken != nil {
		return nil, broken
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.Dir, err)
	}
	return s.manifestOf(entries)
}

func (s Selection) manifestOf(entries []*Entry) (Manifest, error) {
	m := make(Manifest, len(entries))
	for i, e := range entries {
		m[i] = *e
	}
	slices.SortFunc(m, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	if err := m.Check(s.Limits); err != nil {
		return nil, fmt.Errorf("keep %s: %w", s.Dir, err)
	}
	return m, nil
}

// list hands each file on as it is found, to be hashed.
func (s Selection) list(ctx context.Context, files chan<- *Entry) ([]*Entry, error) {
	var entries []*Entry
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
		if err != nil || !kept || !s.wants(relative) {
			return err
		}
		if entries = append(entries, &e); s.Limits.Entries > 0 && len(entries) > s.Limits.Entries {
			return fmt.Errorf("more than %d files: %w", s.Limits.Entries, ErrTooLarge)
		}
		if err := e.check(); err != nil || !e.IsFile() {
			return err
		}
		select {
		case files <- &e:
		case <-ctx.Done():
		}
		return nil
	})
	return entries, err
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
	e.Kind = File // or executable, and of some size: that is seen when it is opened
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

// hasher reads one file after the other.
type hasher struct {
	sum    hash.Hash
	buffer []byte
}

// hash fills in what is not known of a file before it is read.
func (h hasher) hash(dir string, e *Entry) error {
	file, err := openPlain(dir, e.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.executable {
		e.Kind = Executable
	}
	h.sum.Reset()
	e.Size, err = io.CopyBuffer(h.sum, io.LimitReader(file, file.size), h.buffer)
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	h.sum.Sum(e.Digest[:0])
	return nil
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
