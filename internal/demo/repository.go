package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// branch is the only one of the shop.
const branch = "main"

// author is who commits. Nobody approves their own change.
const (
	authorName  = "Cleo"
	authorEmail = "cleo@shop.example"
)

// repository is the shop's: the one that the server polls, and a clone in which somebody works.
type repository struct{ bare, clone string }

// newRepository makes an empty one.
func newRepository(ctx context.Context, bare, clone string) (*repository, error) {
	r := &repository{bare: bare, clone: clone}
	if err := os.Mkdir(clone, 0o700); err != nil {
		return nil, fmt.Errorf("make the shop's folder: %w", err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch", branch, bare},
		{"init", "--quiet", "--initial-branch", branch, clone},
		{"remote", "add", "origin", bare},
	} {
		if _, err := r.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// replace puts something else in the place of a text that stands once in a file of the clone.
func (r *repository) replace(file, old, now string) error {
	path := filepath.Join(r.clone, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("change the shop: %w", err)
	}
	if strings.Count(string(text), old) != 1 {
		return fmt.Errorf("change the shop: %q does not stand once in %s", old, file)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(text), old, now, 1)), 0o600)
}

// add puts a new file into the clone.
func (r *repository) add(file, text string) error {
	if err := os.WriteFile(filepath.Join(r.clone, file), []byte(text), 0o600); err != nil {
		return fmt.Errorf("change the shop: %w", err)
	}
	return nil
}

// revert commits the opposite of the last commit.
func (r *repository) revert(ctx context.Context) error {
	_, err := r.git(ctx, "revert", "--no-edit", "HEAD")
	return err
}

// push commits everything and pushes it. It answers the commit.
func (r *repository) push(ctx context.Context, message string) (revision string, err error) {
	for _, args := range [][]string{
		{"add", "--all"},
		{"commit", "--quiet", "--message", message},
		{"push", "--quiet", "origin", branch},
	} {
		if _, err := r.git(ctx, args...); err != nil {
			return "", err
		}
	}
	return r.git(ctx, "rev-parse", "HEAD")
}

// git runs it in the clone, without the settings of the machine or of its user.
func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = r.clone
	command.Env = append(environment(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME="+authorName, "GIT_AUTHOR_EMAIL="+authorEmail,
		"GIT_COMMITTER_NAME="+authorName, "GIT_COMMITTER_EMAIL="+authorEmail)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
