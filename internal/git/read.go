package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// MaxFileBytes is the size of the largest file that Show and Files return.
const MaxFileBytes = 16 << 20

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

// Changed returns the paths that differ between two revisions, sorted; a renamed file counts under both names. An
// empty from means that every path of to is new.
func (m *Mirror) Changed(ctx context.Context, from, to string) ([]string, error) {
	if err := checkRange(from, to); err != nil {
		return nil, err
	}
	args := []string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to, "--"}
	if from == "" {
		args = []string{"ls-tree", "-r", "-z", "--name-only", to}
	}
	out, err := m.read(ctx, "compare revisions of "+m.remote.shown, args...)
	return splitNul(out), err
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

// List returns the names of the files in a folder of a revision ("" is the root), without those in its
// sub-folders. A folder that does not exist is an ErrNotFound.
func (m *Mirror) List(ctx context.Context, revision, dir string) ([]string, error) {
	if err := errors.Join(checkHash(revision), checkPath(dir)); err != nil {
		return nil, err
	}
	out, err := m.read(ctx, "list "+dir+" at "+revision, "ls-tree", "-z", revision+":"+strings.Trim(dir, "/"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, line := range splitNul(out) { // "<mode> blob <hash>\t<name>"
		if kind, name, _ := strings.Cut(line, "\t"); strings.Contains(kind, " blob ") {
			names = append(names, name)
		}
	}
	return names, nil
}

// Show returns a file as it stands at a revision. One that does not exist is an ErrNotFound, one over
// MaxFileBytes an ErrTooLarge.
func (m *Mirror) Show(ctx context.Context, revision, file string) ([]byte, error) {
	files, err := m.Files(ctx, revision, file)
	if err != nil {
		return nil, err
	}
	content, found := files[file]
	if !found {
		return nil, fmt.Errorf("read %s at %s: %w", file, revision, ErrNotFound)
	}
	return content, nil
}

// Files returns several files of a revision by one git process. Those that do not exist are left out.
func (m *Mirror) Files(ctx context.Context, revision string, files ...string) (map[string][]byte, error) {
	if err := checkHash(revision); err != nil {
		return nil, err
	}
	var names strings.Builder
	for _, file := range files {
		if err := checkPath(file); err != nil {
			return nil, err
		}
		names.WriteString(revision + ":" + path.Clean(file) + "\x00")
	}
	found := make(map[string][]byte, len(files))
	err := m.git.run(ctx, command{
		doing: "read files at " + revision,
		args:  []string{"--git-dir=" + m.dir, "cat-file", "--batch=%(objecttype) %(objectsize)", "-z"},
		stdin: strings.NewReader(names.String()),
		read:  func(stdout io.Reader) error { return readFiles(bufio.NewReader(stdout), files, found) },
	})
	return found, err
}

// readFiles reads the answers of git cat-file --batch, one a file, in order.
func readFiles(answers *bufio.Reader, files []string, found map[string][]byte) error {
	for _, file := range files {
		header, err := answers.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		kind, sizeText, _ := strings.Cut(strings.TrimSuffix(header, "\n"), " ")
		size, err := strconv.ParseInt(sizeText, 10, 64)
		if err != nil { // "<name> missing"
			continue
		}
		if size > MaxFileBytes {
			return fmt.Errorf("%s has %d bytes: %w", file, size, ErrTooLarge)
		}
		content := make([]byte, size+1) // and the newline behind it
		if _, err := io.ReadFull(answers, content); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if kind == "blob" {
			found[file] = content[:size]
		}
	}
	return nil
}

func (m *Mirror) read(ctx context.Context, doing string, args ...string) ([]byte, error) {
	return m.git.output(ctx, command{doing: doing, args: append([]string{"--git-dir=" + m.dir}, args...)})
}

func checkRange(from, to string) error {
	if from == "" {
		return checkHash(to)
	}
	return errors.Join(checkHash(from), checkHash(to))
}

func checkPath(name string) error {
	if strings.ContainsRune(name, 0) || path.IsAbs(name) || strings.HasPrefix(path.Clean(name)+"/", "../") {
		return fmt.Errorf("path %q: %w", name, ErrUnsafe)
	}
	return nil
}

func splitNul(out []byte) []string {
	text := strings.TrimSuffix(string(out), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}
