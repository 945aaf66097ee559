package git

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MaxFileBytes is the size of the largest object that is read.
const MaxFileBytes = 16 << 20

const (
	// maxChanged is how many paths Changed answers at most.
	maxChanged = 100_000
	// maxPathBytes bounds how deep folders are followed.
	maxPathBytes = 16 << 10
	modeFolder   = "40000"
)

// Objects reads what a mirror holds from one git process, which is asked for one object after the other. It is for one
// goroutine.
type Objects struct {
	ask      io.Writer
	answers  *bufio.Reader
	folders  map[string][]folderEntry // that were read, by hash
	reencode func(revision string) (Commit, error)
}

// folderEntry is one name in a folder (gitformat-objects: a "tree").
type folderEntry struct {
	name string
	mode string // octal, without leading zeros
	hash string
}

func (e folderEntry) isFolder() bool { return e.mode == modeFolder }

// isFile is not true of a submodule, whose files are elsewhere.
func (e folderEntry) isFile() bool { return !e.isFolder() && e.mode != "160000" && e.hash != "" }

// Read has do read objects of the mirror. The remote is not asked for what is missing, and no name of the repository is
// ever told to git: objects are asked for by their hashes.
func (m *Mirror) Read(ctx context.Context, do func(*Objects) error) error {
	asked, ask := io.Pipe()
	return m.git.run(ctx, command{
		doing: "read " + m.remote.shown,
		args:  []string{"--git-dir=" + m.dir, "cat-file", "--batch"},
		stdin: asked,
		read: func(stdout io.Reader) error {
			defer ask.Close()
			return do(&Objects{
				ask: ask, answers: bufio.NewReader(stdout), folders: map[string][]folderEntry{},
				reencode: func(revision string) (Commit, error) { return m.reencoded(ctx, revision) },
			})
		},
	})
}

// Commit returns the commit with this hash, or an ErrNotFound.
func (o *Objects) Commit(revision string) (Commit, error) {
	if err := checkHash(revision); err != nil {
		return Commit{}, err
	}
	content, err := o.object(revision, "commit")
	if err != nil {
		return Commit{}, err
	}
	commit, err := parseCommit(revision, content)
	if errors.Is(err, errForeignText) {
		return o.reencode(revision)
	}
	return commit, err
}

// Changed returns the paths that differ between two commits, sorted; a renamed file counts under both names. More than
// 100,000 are an ErrTooLarge.
func (o *Objects) Changed(from, to Commit) ([]string, error) {
	var paths []string
	err := o.compare("", from.tree, to.tree, &paths)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", from.Hash, to.Hash, err)
	}
	slices.Sort(paths)
	return paths, nil
}

// compare adds what differs between two folders; an empty hash is an empty one.
func (o *Objects) compare(prefix, before, after string, found *[]string) error {
	if len(prefix) > maxPathBytes || len(*found) > maxChanged {
		return ErrTooLarge
	}
	was, err := o.byName(before)
	if err != nil {
		return err
	}
	is, err := o.byName(after)
	if err != nil {
		return err
	}
	for name, entry := range was {
		if err := o.compareEntry(prefix+name, entry, is[name], found); err != nil {
			return err
		}
	}
	for name, entry := range is {
		if _, both := was[name]; both {
			continue
		}
		if err := o.compareEntry(prefix+name, folderEntry{}, entry, found); err != nil {
			return err
		}
	}
	return nil
}

func (o *Objects) compareEntry(path string, was, is folderEntry, found *[]string) error {
	if was.mode == is.mode && was.hash == is.hash {
		return nil
	}
	before, after := "", ""
	if was.isFolder() {
		before, was = was.hash, folderEntry{}
	}
	if is.isFolder() {
		after, is = is.hash, folderEntry{}
	}
	if was.hash != is.hash || was.mode != is.mode {
		*found = append(*found, path)
	}
	if before == after {
		return nil
	}
	return o.compare(path+"/", before, after, found)
}

// List returns the names of the files in a folder of a commit ("" is the root), without those in its sub-folders. A
// folder that does not exist is an ErrNotFound.
func (o *Objects) List(c Commit, dir string) ([]string, error) {
	folder := folderEntry{mode: modeFolder, hash: c.tree}
	if dir = path.Clean(dir); dir != "." {
		var err error
		if folder, err = o.find(c, dir); err != nil {
			return nil, err
		}
	}
	if !folder.isFolder() {
		return nil, fmt.Errorf("%s is no folder: %w", dir, ErrNotFound)
	}
	entries, err := o.folder(folder.hash)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.isFile() {
			names = append(names, e.name)
		}
	}
	return names, nil
}

// File returns a file as it stands at a commit. One that does not exist is an ErrNotFound, one over MaxFileBytes an
// ErrTooLarge. A link is a file that holds its target.
func (o *Objects) File(c Commit, name string) ([]byte, error) {
	entry, err := o.find(c, path.Clean(name))
	if err != nil {
		return nil, err
	}
	if !entry.isFile() {
		return nil, fmt.Errorf("%s is no file: %w", name, ErrNotFound)
	}
	content, err := o.object(entry.hash, "blob")
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", name, c.Hash, damage(err))
	}
	return content, nil
}

// find follows a path from a commit's root.
func (o *Objects) find(c Commit, name string) (folderEntry, error) {
	at := folderEntry{mode: modeFolder, hash: c.tree}
	for part := range strings.SplitSeq(name, "/") {
		if !at.isFolder() {
			return at, fmt.Errorf("%s at %s: %w", name, c.Hash, ErrNotFound)
		}
		entries, err := o.folder(at.hash)
		if err != nil {
			return at, err
		}
		i := slices.IndexFunc(entries, func(e folderEntry) bool { return e.name == part })
		if i < 0 {
			return at, fmt.Errorf("%s at %s: %w", name, c.Hash, ErrNotFound)
		}
		at = entries[i]
	}
	return at, nil
}

func (o *Objects) byName(hash string) (map[string]folderEntry, error) {
	entries, err := o.folder(hash)
	named := make(map[string]folderEntry, len(entries))
	for _, e := range entries {
		named[e.name] = e
	}
	return named, err
}

// folder returns what is in a folder; nothing for an empty hash.
func (o *Objects) folder(hash string) ([]folderEntry, error) {
	if entries, known := o.folders[hash]; known || hash == "" {
		return entries, nil
	}
	content, err := o.object(hash, "tree")
	if err != nil {
		return nil, damage(err)
	}
	entries, err := parseFolder(content, len(hash)/2)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", hash, err)
	}
	o.folders[hash] = entries
	return entries, nil
}

// parseFolder reads entries of the form `mode SP name NUL hash`, the hash in bytes.
func parseFolder(content []byte, hashSize int) ([]folderEntry, error) {
	var entries []folderEntry
	for len(content) > 0 {
		head, rest, found := bytes.Cut(content, []byte{0})
		mode, name, spaced := strings.Cut(string(head), " ")
		if !found || !spaced || len(rest) < hashSize {
			return nil, ErrDamaged
		}
		entries = append(entries, folderEntry{name: name, mode: mode, hash: hex.EncodeToString(rest[:hashSize])})
		content = rest[hashSize:]
	}
	return entries, nil
}

// damage is what it means that something is missing which a commit of the mirror needs.
func damage(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %v", ErrDamaged, err) //nolint:errorlint // it must not pass for what a caller asked for in vain
	}
	return err
}

// object asks for one object and reads the answer (git-cat-file(1), "BATCH OUTPUT").
func (o *Objects) object(hash, kind string) ([]byte, error) {
	if _, err := io.WriteString(o.ask, hash+"\n"); err != nil {
		return nil, fmt.Errorf("ask for object %s: %w", hash, err)
	}
	header, err := o.answers.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && fields[1] == "missing" {
		return nil, fmt.Errorf("object %s: %w", hash, ErrNotFound)
	}
	if len(fields) != 3 {
		return nil, fmt.Errorf("read object %s: git says %q", hash, header)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	content, err := o.content(size)
	if err == nil && fields[1] != kind {
		err = fmt.Errorf("it is a %s, not a %s: %w", fields[1], kind, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", hash, err)
	}
	return content, nil
}

// content reads so many bytes and the newline behind them. What is too much is passed by, so that the next object can
// be read.
func (o *Objects) content(size int64) ([]byte, error) {
	if size > MaxFileBytes {
		if _, err := io.CopyN(io.Discard, o.answers, size+1); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%d bytes: %w", size, ErrTooLarge)
	}
	content := make([]byte, size+1)
	_, err := io.ReadFull(o.answers, content)
	return content[:size], err
}
