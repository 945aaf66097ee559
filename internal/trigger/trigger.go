// Package trigger is leg 1: it sees that something changed, by polling, and records it before anybody acts on it.
package trigger

import (
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
)

// Matches says whether a change starts a pipeline.
func Matches(t towpath.Triggers, p towpath.Project, c towpath.Change) bool {
	if c.Trigger == towpath.TriggerManual {
		return t.Manual
	}
	return t.Push && matchesBranch(t.Branch, p, c) && matchesPaths(t.Paths, c)
}

func matchesBranch(globs []string, p towpath.Project, c towpath.Change) bool {
	if len(globs) == 0 {
		return c.Branch == p.DefaultBranch
	}
	return slices.ContainsFunc(globs, func(glob string) bool { return doublestar.MatchUnvalidated(glob, c.Branch) })
}

// matchesPaths takes a change whose files are not known, such as the first of a branch, for one that touches them all.
func matchesPaths(globs []string, c towpath.Change) bool {
	if len(globs) == 0 || c.Files == nil {
		return true
	}
	return slices.ContainsFunc(c.Files, func(file string) bool {
		return slices.ContainsFunc(globs, func(glob string) bool { return doublestar.MatchUnvalidated(glob, file) })
	})
}
