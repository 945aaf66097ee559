package trigger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// lines are the branches and tags of a repository, and where each stands.
type lines struct {
	tips   map[string]string // commit by what a change has as its branch: see towpath.TagLine
	strays []string          // branches whose names could pass for a tag or a pull request
}

func linesOf(refs git.Refs) lines {
	l := lines{tips: make(map[string]string, len(refs.Tips))}
	for name, hash := range refs.Tips {
		if branch, is := strings.CutPrefix(name, branches); is {
			l.addBranch(branch, hash)
			continue
		}
		tag, is := strings.CutPrefix(name, tags)
		if !is || strings.HasSuffix(tag, "^{}") {
			continue
		}
		if commit := refs.Tips[name+"^{}"]; commit != "" { // of an annotated tag
			hash = commit
		}
		l.tips[towpath.TagLine(tag)] = hash
	}
	return l
}

func (l *lines) addBranch(branch, hash string) {
	if towpath.IsLine(branch) {
		l.strays = append(l.strays, branch)
		return
	}
	l.tips[branch] = hash
}

// lines asks a project's repository for its branches, and for its tags where they are wanted.
func (r *Repositories) lines(ctx context.Context, p towpath.Project, withTags bool) (lines, error) {
	patterns := []string{branches + "*"}
	if withTags {
		patterns = append(patterns, tags+"*")
	}
	refs, err := r.ask(ctx, p, patterns...)
	return linesOf(refs), explain(err)
}

// IsProtected says whether what stands on a branch of the project's own repository is trusted: it is the default one, or
// the project says so.
func IsProtected(p towpath.Project, branch string) bool {
	if branch == "" || towpath.IsLine(branch) {
		return false
	}
	if branch == p.DefaultBranch {
		return true
	}
	for _, glob := range p.Protected {
		if is, err := doublestar.Match(glob, branch); err == nil && is {
			return true
		}
	}
	return false
}

// isTrusted says whether a change is of a protected branch. A tag is, where its commit is on the default branch: whoever
// may push a tag can set it on any commit.
func (r *Repositories) isTrusted(ctx context.Context, p towpath.Project, c towpath.Change) (bool, error) {
	switch {
	case c.Request != nil:
		return false, nil
	case c.Tag() != "":
		return r.isOnDefault(ctx, p, c.Revision)
	}
	return IsProtected(p, c.Branch), nil
}

// isOnDefault looks once more, at the remote itself, before it says no: the branch may have moved since.
func (r *Repositories) isOnDefault(ctx context.Context, p towpath.Project, revision string) (bool, error) {
	mirror, err := r.holding(ctx, p, git.Want{Revision: revision})
	if err != nil {
		return false, err
	}
	if is, err := leadsTo(ctx, mirror, p.DefaultBranch, revision); is || err != nil {
		return is, err
	}
	access, err := r.access(ctx, p)
	if err != nil {
		return false, err
	}
	if err := mirror.Fetch(ctx, access); err != nil {
		return false, fmt.Errorf("see whether a tag is on %s: %w", p.DefaultBranch, err)
	}
	return leadsTo(ctx, mirror, p.DefaultBranch, revision)
}

// leadsTo says whether the mirror's branch holds a revision.
func leadsTo(ctx context.Context, mirror *git.Mirror, branch, revision string) (bool, error) {
	tip, err := mirror.Resolve(ctx, branches+branch)
	if errors.Is(err, git.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return mirror.IsAncestor(ctx, revision, tip)
}
