package trigger

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// Between answers the commits by which two revisions of a project differ. It asks the mirror alone, so that it answers also
// while the forge does not.
func (r *Repositories) Between(ctx context.Context, p towpath.Project, before, after string) (towpath.Commits, error) {
	mirror, err := r.mirror(p)
	if err != nil {
		return towpath.Commits{}, err
	}
	added, err := mirror.Between(ctx, before, after, towpath.MostCommits+1)
	if err != nil {
		return towpath.Commits{}, err
	}
	removed, err := mirror.Between(ctx, after, before, towpath.MostCommits+1)
	found := towpath.Commits{More: max(len(added), len(removed)) > towpath.MostCommits}
	found.Added, found.Removed = told(added), told(removed)
	return found, err
}

func told(commits []git.Commit) []towpath.Commit {
	var found []towpath.Commit
	for _, c := range commits[:min(len(commits), towpath.MostCommits)] {
		found = append(found, towpath.Commit{Revision: c.Hash, Title: c.Subject(), Author: c.AuthorName, At: c.AuthoredAt})
	}
	return found
}
