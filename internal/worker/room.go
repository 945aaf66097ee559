package worker

import (
	"errors"
	"fmt"
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
	scratch   string // for our own files, and the folders below
	temporary string // TMPDIR
	outputs   string // TOWPATH_OUTPUT, a file
}

func roomIn(dir, pipeline string) room {
	scratch := filepath.Join(dir, ".towpath")
	return room{
		workspace: filepath.Join(dir, folderName(pipeline)),
		scratch:   scratch,
		temporary: filepath.Join(scratch, "tmp"),
		outputs:   filepath.Join(scratch, "outputs"),
	}
}

// furnish makes all but the workspace.
func (r room) furnish() error {
	if err := errors.Join(os.MkdirAll(r.temporary, 0o700), os.WriteFile(r.outputs, nil, 0o600)); err != nil {
		return fmt.Errorf("make a workspace: %w", err)
	}
	return nil
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
