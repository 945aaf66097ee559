package git

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestASnapshotIsTheWorkingTreeAndLeavesItsRepositoryAlone(t *testing.T) {
	ctx := context.Background()
	root, bare := t.TempDir(), filepath.Join(t.TempDir(), "snapshot.git")
	g, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := func(args ...string) string {
		t.Helper()
		out, err := g.text(ctx, root, []string{
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.c",
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in("init", "-q", "--initial-branch=topic")
	write("committed", "old")
	write(".gitignore", "ignored\n")
	in("add", "-A")
	in("commit", "-q", "-m", "first")
	write("committed", "new")
	write("untracked", "here")
	write("ignored", "not here")
	before := in("count-objects") + in("status", "--porcelain")

	branch, revision, err := g.Snapshot(ctx, root, bare)
	if err != nil || branch != "topic" {
		t.Fatalf("snapshot of branch %q, %v", branch, err)
	}
	if after := in("count-objects") + in("status", "--porcelain"); after != before {
		t.Fatalf("the repository changed from %q to %q", before, after)
	}
	names, err := g.text(ctx, bare, nil, "ls-tree", "--name-only", revision)
	if err != nil || names != ".gitignore\ncommitted\nuntracked" {
		t.Fatalf("the snapshot holds %q, %v", names, err)
	}
	if content, err := g.text(ctx, bare, nil, "show", revision+":committed"); err != nil || content != "new" {
		t.Fatalf("the changed file is %q, %v", content, err)
	}
}
