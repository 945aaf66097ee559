package trigger

import (
	"context"
	"errors"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// sinceBase has a pull request begin where it left the branch that it goes to, whatever it held before. Where that is not
// known, Before is empty.
func (r *Repositories) sinceBase(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, error) {
	if c.Request == nil {
		return c, nil
	}
	mirror, err := r.holding(ctx, p, git.Want{Revision: c.Revision, Ref: refOf(c)})
	if err != nil {
		return c, explain(err)
	}
	c.Before = ""
	tip, err := mirror.Resolve(ctx, branches+c.Request.Base)
	if errors.Is(err, git.ErrNotFound) {
		return c, nil
	}
	if err == nil {
		c.Before, err = mirror.MergeBase(ctx, tip, c.Revision)
	}
	return c, explain(err)
}

// knownFiles answers the files that changed; nil where a pull request's base is not known, so that nobody can tell.
func knownFiles(c towpath.Change, files []string) []string {
	if c.Request != nil && c.Before == "" {
		return nil
	}
	return files
}
