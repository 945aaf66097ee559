package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// room is the place of one step on the disk: a fresh workspace, and beside it what the step needs but did not ask to
// find among its files. Its path is that of the slot, the same for every step in it, because compilers' caches know
// files by their path.
type room struct {
	workspace string // the checkout; where the script runs
	scratch   string // script
	temporary string // TMPDIR
	outputs   string // TOWPATH_OUTPUT, a file
}

// openRoom makes the room of a slot. dir must be missing.
func openRoom(dir, pipeline string) (room, error) {
	r := room{
		workspace: filepath.Join(dir, folderName(pipeline)),
		scratch:   filepath.Join(dir, ".towpath"),
		temporary: filepath.Join(dir, ".towpath", "tmp"),
		outputs:   filepath.Join(dir, ".towpath", "outputs"),
	}
	if err := errors.Join(os.MkdirAll(r.temporary, 0o700), os.WriteFile(r.outputs, nil, 0o600)); err != nil {
		return r, fmt.Errorf("make a workspace: %w", err)
	}
	return r, nil
}

// folderName is a pipeline's name as the last part of a path.
func folderName(pipeline string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, pipeline)
	if name = strings.Trim(name, "."); name == "" {
		return "workspace"
	}
	return name
}

// home answers the HOME of a step, which is made when it is missing: one that the pipeline's steps of protected
// branches share, one for its other branches, or an empty one.
func (w *worker) home(l *client.StepLease, r room) (string, error) {
	dir := filepath.Join(w.dirs.homes, folderName(l.Pipeline)+"-"+nameOf(l.Project+"\n"+l.Pipeline), branchKind(l.Trusted))
	if l.Clean {
		dir = filepath.Join(r.scratch, "home")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the step's HOME: %w", err)
	}
	return dir, nil
}

func branchKind(trusted bool) string {
	if trusted {
		return "protected"
	}
	return "others"
}

// discard moves a folder out of the way at once and removes it later. One that is missing is no matter.
func (w *worker) discard(dir string) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	away, err := os.MkdirTemp(w.dirs.trash, "")
	if err == nil {
		err = os.Rename(dir, filepath.Join(away, "workspace"))
	}
	if err != nil {
		w.log.Error("cannot clear a workspace", "folder", dir, "error", err)
		return
	}
	w.removeLater(away)
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
