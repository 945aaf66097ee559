package git

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// Switch turns a pristine checkout into one of another revision, by writing the files that differ only. When it
// fails the folder is of no use any more.
func (m *Mirror) Switch(ctx context.Context, p *Pristine, revision string) error {
	if err := checkHash(revision); err != nil {
		return err
	}
	doing := "turn the checkout of " + p.Revision + " into " + revision
	if err := m.writeGitDir(ctx, filepath.Join(p.Dir, ".git"), revision, 0); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return m.git.run(ctx, command{
		doing: doing,
		dir:   p.Dir,
		args:  append(slices.Clone(manyHands), "--git-dir=.git", "--work-tree=.", "read-tree", "-m", "-u", p.Revision, revision),
	})
}

// Refresh has a checkout's index take over what the files' owner, and with it their last change, is now.
func (m *Mirror) Refresh(ctx context.Context, dir string) error {
	return m.git.run(ctx, command{
		doing: "look at a checkout's files again", dir: dir,
		args: []string{"--git-dir=.git", "--work-tree=.", "update-index", "-q", "--refresh"},
	})
}
