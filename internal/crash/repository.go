package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// developerEmail is told what becomes of a change.
const developerEmail = "dev@example.com"

// repository is a bare one that the server watches, with the working tree that is pushed from.
type repository struct {
	world      *World
	name       string
	bare, work string
}

func (w *World) newRepository(ctx context.Context, name string, files map[string]string) (*repository, error) {
	r := &repository{world: w, name: name, bare: w.path(name + ".git"), work: w.path(name + ".work")}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", r.bare},
		{"clone", "--quiet", r.bare, r.work},
		{"-C", r.work, "checkout", "--quiet", "-B", "main"},
	} {
		if _, err := r.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	_, err := r.push(ctx, "the first", files)
	return r, err
}

// push commits files over what is there, and answers the revision, which git has taken then.
func (r *repository) push(ctx context.Context, title string, files map[string]string) (revision string, err error) {
	for name, content := range files {
		path := filepath.Join(r.work, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{
		{"add", "--all"}, {"commit", "--quiet", "--allow-empty", "-m", title}, {"push", "--quiet", "origin", "main"}, {"rev-parse", "HEAD"},
	} {
		if revision, err = r.git(ctx, append([]string{"-C", r.work}, args...)...); err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(revision), nil
}

func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{
		"-c", "user.name=Dev", "-c", "user.email=" + developerEmail, "-c", "commit.gpgsign=false",
	}, args...)...)
	command.Dir = os.TempDir() // outside of the world: whoever kills its processes means others
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return string(output), nil
}
