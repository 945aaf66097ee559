package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// files is how many small files a repository of a benchmark has, the pipeline file not counted.
const files = 50

// repository is a bare one, to clone from.
type repository struct {
	dir  string
	work string // with a working tree, to commit in
}

// newRepository commits small files and a pipeline file.
func (s *stage) newRepository(ctx context.Context, name, pipeline string) (repository, error) {
	r := repository{dir: s.path(name + ".git"), work: s.path(name)}
	if err := os.MkdirAll(r.work, 0o700); err != nil {
		return r, err
	}
	for i := range files {
		text := bytes.Repeat(fmt.Appendf(nil, "file %d of %s\n", i, name), 50)
		if err := os.WriteFile(filepath.Join(r.work, fmt.Sprintf("file%d.txt", i)), text, 0o600); err != nil {
			return r, err
		}
	}
	if err := git(ctx, s.dir, "init", "-q", "--bare", "-b", "main", r.dir); err != nil {
		return r, err
	}
	if err := git(ctx, r.work, "init", "-q", "-b", "main"); err != nil {
		return r, err
	}
	return r, r.commit(ctx, "towpath.yaml", pipeline)
}

// commit writes a file, and pushes it with all else that is new.
func (r repository) commit(ctx context.Context, name, text string) error {
	if err := os.WriteFile(filepath.Join(r.work, name), []byte(text), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"add", "-A"},
		{"-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", "write " + name},
		{"push", "-q", r.dir, "main"},
	} {
		if err := git(ctx, r.work, args...); err != nil {
			return err
		}
	}
	return nil
}

// copyTo makes another repository of the same, which nobody has cloned yet.
func (r repository) copyTo(ctx context.Context, dir string) error {
	return git(ctx, r.work, "clone", "-q", "--bare", r.dir, dir)
}

func git(ctx context.Context, dir string, args ...string) error {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}
