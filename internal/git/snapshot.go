package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Snapshot makes a bare repository in dir whose one branch is the working tree at root as it now is, with what is not
// committed yet and without what git ignores. Nothing is written to the repository of root: new objects go to dir, which
// borrows the others. It answers the branch and the revision.
func (g *Git) Snapshot(ctx context.Context, root, dir string) (branch, revision string, err error) {
	top, err := g.text(ctx, root, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", "", err
	}
	objects, err := g.text(ctx, root, nil, "rev-parse", "--path-format=absolute", "--git-path", "objects")
	if err != nil {
		return "", "", err
	}
	branch = "main"
	if name, err := g.text(ctx, root, nil, "symbolic-ref", "--short", "-q", "HEAD"); err == nil {
		branch = name
	}
	if _, err := g.text(ctx, root, nil, "init", "-q", "--bare", "--initial-branch="+branch, "--", dir); err != nil {
		return "", "", err
	}
	info := filepath.Join(dir, "objects", "info", "alternates")
	if err := os.WriteFile(info, []byte(objects+"\n"), 0o600); err != nil {
		return "", "", fmt.Errorf("borrow the objects of %s: %w", root, err)
	}
	revision, err = g.commitTree(ctx, top, dir)
	if err != nil {
		return "", "", err
	}
	_, err = g.text(ctx, root, nil, "--git-dir="+dir, "update-ref", "refs/heads/"+branch, revision)
	return branch, revision, err
}

// commitTree commits the working tree at top into the repository dir, by an index of its own.
func (g *Git) commitTree(ctx context.Context, top, dir string) (string, error) {
	who := []string{
		"GIT_INDEX_FILE=" + filepath.Join(dir, "snapshot.index"),
		"GIT_AUTHOR_NAME=local", "GIT_AUTHOR_EMAIL=local@localhost",
		"GIT_COMMITTER_NAME=local", "GIT_COMMITTER_EMAIL=local@localhost",
	}
	in := func(args ...string) (string, error) {
		return g.text(ctx, top, who, append([]string{"--git-dir=" + dir, "--work-tree=" + top}, args...)...)
	}
	if _, err := in("add", "-A", "--", "."); err != nil {
		return "", err
	}
	tree, err := in("write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "-m", "working tree", tree}
	if head, err := g.text(ctx, top, nil, "rev-parse", "-q", "--verify", "HEAD^{commit}"); err == nil {
		args = append(args, "-p", head)
	}
	return in(args...)
}

// text runs git in a folder and answers its output without the line's end.
func (g *Git) text(ctx context.Context, folder string, env []string, args ...string) (string, error) {
	out, err := g.output(ctx, command{doing: "take a snapshot of " + folder, dir: folder, args: args, env: env})
	return strings.TrimSpace(string(out)), err
}
