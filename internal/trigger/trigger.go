// Package trigger is leg 1: it sees that something changed, by polling, and records it before anybody acts on it.
package trigger

import (
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
)

// Matches says whether a change starts a pipeline of that name.
func Matches(name string, t towpath.Triggers, p towpath.Project, c towpath.Change) bool {
	if len(c.Pipelines) > 0 && !slices.Contains(c.Pipelines, name) {
		return false
	}
	switch c.Trigger {
	case towpath.TriggerManual:
		return t.Manual
	case towpath.TriggerTag:
		return matchesAny(t.Tags, c.Tag())
	case towpath.TriggerPullRequest:
		return matchesPullRequest(t.PullRequests, p, c)
	case towpath.TriggerSchedule:
		return len(t.Schedules) > 0
	case towpath.TriggerPipeline:
		return len(t.After) > 0
	case towpath.TriggerPush:
		return t.Push && matchesBranch(t.Branch, p, c.Branch) && matchesPaths(t.Paths, c)
	}
	return false
}

func matchesPullRequest(t *towpath.PullRequestTriggers, p towpath.Project, c towpath.Change) bool {
	return t != nil && c.Request != nil && matchesBranch(t.Branches, p, c.Request.Base) && matchesPaths(t.Paths, c)
}

func matchesBranch(globs []string, p towpath.Project, branch string) bool {
	if len(globs) == 0 {
		return branch == p.DefaultBranch
	}
	return matchesAny(globs, branch)
}

// matchesPaths takes a change whose files are not known, such as the first of a branch, for one that touches them all.
func matchesPaths(globs []string, c towpath.Change) bool {
	if len(globs) == 0 || c.Files == nil {
		return true
	}
	return slices.ContainsFunc(c.Files, func(file string) bool { return matchesAny(globs, file) })
}

func matchesAny(globs []string, name string) bool {
	return name != "" && slices.ContainsFunc(globs, func(glob string) bool { return doublestar.MatchUnvalidated(glob, name) })
}
