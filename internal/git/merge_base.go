package git

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

// MergeBase answers the newest revision that both hold; empty where they have nothing in common.
func (m *Mirror) MergeBase(ctx context.Context, one, other string) (string, error) {
	if err := errors.Join(checkHash(one), checkHash(other)); err != nil {
		return "", err
	}
	out, err := m.read(ctx, "find where revisions of "+m.remote.shown+" part", "merge-base", one, other)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil // git-merge-base(1)
	}
	return strings.TrimSpace(string(out)), err
}
