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
// find among its files. Its path is that of its place, the same for every step in it, because compilers' caches know
// files by their path.
type room struct {
	workspace string // the checkout; where the script runs
	scratch   string // for our own files, and the folders below
	temporary string // TMPDIR
	outputs   string // TOWPATH_OUTPUT, a file
	secrets   string // folder of those that the script sees as files; empty where there are none
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

// open makes all but the workspace, or finds it as reset left it.
func (r room) open() error {
	if err := errors.Join(os.MkdirAll(r.temporary, 0o700), os.WriteFile(r.outputs, nil, 0o600)); err != nil {
		return fmt.Errorf("make a workspace: %w", err)
	}
	return nil
}

// reset hands to remove whatever a step left beside its workspace. Two folders and the files that the next step
// overwrites stay: making them costs more than looking at them.
func (r room) reset(remove func(path string) error) error {
	for dir, isKept := range map[string]func(fs.DirEntry) bool{
		r.scratch:   func(e fs.DirEntry) bool { return r.isTemporary(e) || r.isOverwritten(e) },
		r.temporary: func(fs.DirEntry) bool { return false },
	} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("look at a workspace again: %w", err)
		}
		for _, entry := range entries {
			if isKept(entry) {
				continue
			}
			if err := remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r room) isTemporary(e fs.DirEntry) bool {
	info, err := e.Info()
	return err == nil && info.Mode() == fs.ModeDir|0o700 && e.Name() == filepath.Base(r.temporary)
}

// isOverwritten is never true of a link, through which something else would be overwritten.
func (r room) isOverwritten(e fs.DirEntry) bool {
	return e.Type().IsRegular() && (e.Name() == filepath.Base(r.outputs) || e.Name() == "script")
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
// branches share, one for its other branches, or an empty one, which goes with the step. What comes from a fork never
// gets another, nor does what runs in a cluster: each of its steps would have a copy of its own.
//
// Where steps have users of their own, each place has a HOME of the pipeline for itself.
func (a *attempt) home() (string, error) {
	l := a.lease
	dir := filepath.Join(a.dirs.homes, folderName(l.Pipeline)+"-"+nameOf(l.Project+"\n"+l.Pipeline), kindOf(l))
	switch {
	case l.Clean || l.Fork || a.isInCluster(l):
		dir = filepath.Join(a.room.scratch, "home")
	case a.guest != nil:
		return a.guest.home(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the step's HOME: %w", err)
	}
	return dir, nil
}

// kindOf says who may have written what a step runs. Steps of different kinds share nothing.
func kindOf(l *client.StepLease) string {
	switch {
	case l.Fork:
		return "fork"
	case l.Trusted:
		return "protected"
	}
	return "others"
}
