package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Has says whether the mirror holds revision, without asking the remote.
func (m *Mirror) Has(ctx context.Context, revision string) (bool, error) {
	if err := checkHash(revision); err != nil {
		return false, err
	}
	if _, known := m.known.Load(revision); known || m.isTip(revision) {
		return true, nil
	}
	if !m.isMarked(completeMark) {
		return false, nil
	}
	_, err := m.read(ctx, "look for revision "+revision, "cat-file", "-e", revision+"^{commit}")
	var exit *exec.ExitError
	if errors.As(err, &exit) && !errors.Is(err, ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m.known.Store(revision, struct{}{})
	return true, nil
}

// isTip says whether a reference stands at revision, which saves asking git. Fetches pack all references.
func (m *Mirror) isTip(revision string) bool {
	if !m.isMarked(completeMark) || m.isMarked(fetchingMark) {
		return false
	}
	refs, err := os.ReadFile(filepath.Join(m.dir, "packed-refs"))
	return err == nil && bytes.Contains(refs, []byte("\n"+revision+" "))
}

// Resolve returns the commit that a full reference name ("refs/heads/main", "refs/tags/v1") stands at in the
// mirror.
func (m *Mirror) Resolve(ctx context.Context, ref string) (string, error) {
	if err := checkRef(ref); err != nil {
		return "", err
	}
	out, err := m.read(ctx, "resolve "+ref, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// IsAncestor says whether descendant contains ancestor. A revision is its own ancestor.
func (m *Mirror) IsAncestor(ctx context.Context, ancestor, descendant string) (bool, error) {
	if err := errors.Join(checkHash(ancestor), checkHash(descendant)); err != nil {
		return false, err
	}
	_, err := m.read(ctx, "compare revisions of "+m.remote.shown, "merge-base", "--is-ancestor", ancestor, descendant)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil // git-merge-base(1): 1 is "no", anything else an error
	}
	return err == nil, err
}

func (m *Mirror) read(ctx context.Context, doing string, args ...string) ([]byte, error) {
	return m.git.output(ctx, command{doing: doing, args: append([]string{"--git-dir=" + m.dir}, args...)})
}
