package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// bag takes files and folders out of the way at once, however large they are, to be removed later.
type bag struct {
	worker *worker
	dir    string // made when the first thing comes
	count  int
}

// add moves what stands at path into the bag. What is missing is an fs.ErrNotExist.
func (b *bag) add(path string) error {
	if b.dir == "" {
		dir, err := os.MkdirTemp(b.worker.dirs.trash, "")
		if err != nil {
			return fmt.Errorf("clear %s: %w", path, err)
		}
		b.dir = dir
	}
	b.count++
	if err := os.Rename(path, filepath.Join(b.dir, strconv.Itoa(b.count))); err != nil {
		return fmt.Errorf("clear %s: %w", path, err)
	}
	return nil
}

// takeAway begins to remove what is in the bag.
func (b *bag) takeAway() {
	if b.dir != "" {
		b.worker.removeLater(b.dir)
	}
}

// discard moves one thing out of the way and removes it later. One that is missing is no matter.
func (w *worker) discard(path string) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return
	}
	b := bag{worker: w}
	if err := b.add(path); err != nil {
		w.log.Error("cannot clear a workspace", "error", err)
	}
	b.takeAway()
}

func (w *worker) removeLater(dir string) {
	w.janitor.Go(func() {
		if err := removeAll(dir); err != nil {
			w.log.Warn("a workspace is left behind until the worker's next start", "folder", dir, "error", err)
		}
	})
}

// removeAll also removes folders that forbid it, such as those of Go's module cache.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
