package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// smallFile is the size up to which files are written beside each other; larger ones go one by one.
const smallFile = 256 << 10

// Unpack writes a tree into dir, which must be missing or empty, from a stream of packs that holds all its blobs.
// Nothing is written outside dir, and no file through a link. When it fails, dir is left empty.
func Unpack(ctx context.Context, packs io.Reader, m Manifest, dir string, limits Limits) error {
	if err := m.Check(limits); err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	if err := makeEmpty(dir); err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	if err := unpackInto(ctx, packs, m, dir); err != nil {
		return errors.Join(fmt.Errorf("unpack into %s: %w", dir, err), clearDir(dir))
	}
	return nil
}

// ErrOccupied says that the folder to unpack into is not empty.
var ErrOccupied = errors.New("folder not empty")

func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	empty, err := isEmpty(dir)
	if err == nil && !empty {
		return ErrOccupied
	}
	return err
}

func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

func unpackInto(ctx context.Context, packs io.Reader, m Manifest, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	folders, err := makeFolders(root, m)
	defer folders.close()
	if err != nil {
		return err
	}
	u := &unpacker{folders: folders, wanted: make(map[Digest][]Entry), done: make(map[Digest]bool)}
	for _, e := range m {
		if e.IsFile() {
			u.wanted[e.Digest] = append(u.wanted[e.Digest], e)
		}
	}
	if err := u.run(ctx, packs); err != nil {
		return err
	}
	return makeLinks(root, m)
}

// folders are the tree's folders, opened: a file's name is then looked up in one step, and not from the top.
type folders map[string]*os.Root

// maxOpenFolders bounds the open files of one Unpack.
const maxOpenFolders = 200

func makeFolders(root *os.Root, m Manifest) (folders, error) {
	open := folders{".": root}
	seen := map[string]bool{".": true}
	for _, e := range m {
		dir := path.Dir(e.Path)
		if e.Kind == Folder {
			dir = e.Path
		}
		if seen[dir] {
			continue
		}
		if err := root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return open, err
		}
		seen[dir] = true
		if len(open) < maxOpenFolders {
			opened, err := root.OpenRoot(filepath.FromSlash(dir))
			if err != nil {
				return open, err
			}
			open[dir] = opened
		}
	}
	return open, nil
}

func (f folders) create(e Entry) (*os.File, error) {
	mode := os.FileMode(0o644)
	if e.Kind == Executable {
		mode = 0o755
	}
	in, name := f[path.Dir(e.Path)], path.Base(e.Path)
	if in == nil {
		in, name = f["."], e.Path
	}
	return in.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (f folders) close() {
	for name, root := range f {
		if name != "." { // that is the caller's
			_ = root.Close()
		}
	}
}

// makeLinks comes last, when nothing is written any more.
func makeLinks(root *os.Root, m Manifest) error {
	for _, e := range m {
		if e.Kind != Link {
			continue
		}
		if err := root.Symlink(filepath.FromSlash(e.Target), filepath.FromSlash(e.Path)); err != nil {
			return err
		}
	}
	return nil
}

// unpacker gives each blob of a stream to the files that want it.
type unpacker struct {
	folders folders
	wanted  map[Digest][]Entry
	done    map[Digest]bool
}

// job is a small blob and its files.
type job struct {
	entries []Entry
	content []byte
}

func (u *unpacker) run(ctx context.Context, packs io.Reader) error {
	reader, err := NewPackReader(packs)
	if err != nil {
		return err
	}
	defer reader.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan job, 32)
	var writers sync.WaitGroup
	for range min(4, 2*runtime.GOMAXPROCS(0)) {
		writers.Go(func() {
			for j := range jobs {
				if err := u.writeSmall(j); err != nil {
					cancel(err)
				}
			}
		})
	}
	err = u.distribute(ctx, reader, jobs)
	close(jobs)
	writers.Wait()
	if err := errors.Join(err, context.Cause(ctx)); err != nil {
		return err
	}
	for d, entries := range u.wanted {
		if !u.done[d] {
			return fmt.Errorf("%q (%s) was not sent: %w", entries[0].Path, d, ErrNotFound)
		}
	}
	return nil
}

func (u *unpacker) distribute(ctx context.Context, reader *PackReader, jobs chan<- job) error {
	for ctx.Err() == nil {
		b, copyTo, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		entries := u.wanted[b.Digest]
		switch {
		case len(entries) == 0:
			return fmt.Errorf("blob %s was sent, and no file wants it: %w", b.Digest, ErrMalformed)
		case slices.ContainsFunc(entries, func(e Entry) bool { return e.Size != b.Size }):
			return fmt.Errorf("%q has %d bytes: %w", entries[0].Path, b.Size, ErrMismatch)
		case u.done[b.Digest]:
			err = copyTo(io.Discard)
		case b.Size > smallFile:
			err = u.write(entries, copyTo)
		default:
			err = queue(ctx, jobs, entries, b, copyTo)
		}
		if err != nil {
			return err
		}
		u.done[b.Digest] = true
	}
	return nil
}

func queue(ctx context.Context, jobs chan<- job, entries []Entry, b Blob, copyTo func(io.Writer) error) error {
	content := bytes.NewBuffer(make([]byte, 0, b.Size))
	if err := copyTo(content); err != nil {
		return err
	}
	select {
	case jobs <- job{entries, content.Bytes()}:
	case <-ctx.Done():
	}
	return nil
}

// write gives a large blob to the first of its files, and copies that for the others.
func (u *unpacker) write(entries []Entry, content func(io.Writer) error) error {
	if err := u.writeOne(entries[0], content); err != nil {
		return err
	}
	for _, e := range entries[1:] {
		if err := u.writeOne(e, func(w io.Writer) error { return u.copyOf(entries[0], w) }); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) writeSmall(j job) error {
	for _, e := range j.entries {
		if err := u.writeOne(e, func(w io.Writer) error { return writeAll(w, j.content) }); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) writeOne(e Entry, content func(io.Writer) error) error {
	file, err := u.folders.create(e)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}

func (u *unpacker) copyOf(e Entry, w io.Writer) error {
	file, err := u.folders["."].Open(filepath.FromSlash(e.Path))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

func writeAll(w io.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}
