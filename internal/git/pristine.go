package git

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's own hash
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrChanged says that a checkout is no longer as it was made, in a way that is not undone by removing files.
var ErrChanged = errors.New("checkout was changed")

const (
	// maxPristine is how many files a checkout may have to be remembered.
	maxPristine = 100_000
	// maxGitBytes is how much a remembered .git may hold.
	maxGitBytes = 32 << 20
	// racy is how soon after a change another one may leave the same times: the tick of the kernel's coarse clock,
	// and some more.
	racy = 50 * time.Millisecond
)

// Pristine remembers a checkout as it was made, so that it can be handed to the next one who wants the same: to look
// whether 10,000 files are untouched takes a hundredth of the time that it takes to write them. It relies on the time
// of a file's last change (ctime), which its owner cannot set.
type Pristine struct {
	Dir      string
	Revision string

	files   map[string]entry
	folders map[string]bool
	git     map[string][]byte
	mode    fs.FileMode // of folders
	at      time.Time   // the last moment at which all was known to be as it should
}

// Remember looks at a checkout before anybody else does. The error is ErrUnsupported where that cannot be done:
// platforms without ctime, submodules, very many files.
func Remember(c Checkout) (*Pristine, error) {
	if !hasChangeTime {
		return nil, fmt.Errorf("remember a checkout: no ctime: %w", ErrUnsupported)
	}
	p := &Pristine{Dir: c.Dir, Revision: c.Revision, folders: make(map[string]bool), at: time.Now()}
	if err := p.readGit(); err != nil {
		return nil, fmt.Errorf("remember a checkout: %w", err)
	}
	files, err := readIndex(p.git["index"], len(c.Revision)/2)
	if err != nil || len(files) > maxPristine {
		return nil, fmt.Errorf("remember a checkout of %d files: %w", len(files), errors.Join(ErrUnsupported, err))
	}
	p.files = files
	for name, e := range files {
		if e.mode&modeType != modeRegular && e.mode&modeType != modeLink {
			return nil, fmt.Errorf("remember %s: %w", name, ErrUnsupported)
		}
		p.addFolders(name)
	}
	return p, p.readMode()
}

func (p *Pristine) addFolders(name string) {
	for dir := parent(name); dir != "" && !p.folders[dir]; dir = parent(dir) {
		p.folders[dir] = true
	}
}

func parent(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return ""
}

// readMode takes one folder for all: git makes them alike.
func (p *Pristine) readMode() error {
	for dir := range p.folders {
		info, err := os.Lstat(filepath.Join(p.Dir, dir))
		if err != nil {
			return fmt.Errorf("remember a checkout: %w", err)
		}
		p.mode = info.Mode()
		return nil
	}
	return nil
}

// readGit keeps the content of .git, which is small: the objects are the mirror's.
func (p *Pristine) readGit() error {
	content, err := gitContent(filepath.Join(p.Dir, ".git"))
	p.git = content
	return err
}

func gitContent(dir string) (map[string][]byte, error) {
	files, sum := make(map[string][]byte), int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if sum += info.Size(); sum > maxGitBytes || !d.Type().IsRegular() {
			return ErrUnsupported
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	return files, err
}

// Restore makes the checkout pristine again: what was added is handed to remove, with its absolute path, and .git is
// written anew if anything is different in there. A file of the revision that was changed or is missing is an
// ErrChanged; then nothing was done. Nobody else may be at work in the checkout.
func (p *Pristine) Restore(remove func(path string) error) error {
	began := time.Now()
	added, err := p.look()
	if err != nil {
		return fmt.Errorf("look at a checkout again: %w", err)
	}
	p.at = began // what was so young that it was compared byte by byte is old enough by the next time
	for _, path := range added {
		if err := remove(path); err != nil {
			return fmt.Errorf("clear a checkout: %w", err)
		}
	}
	return p.restoreGit(remove)
}

// look answers what is there beside the revision's own files, which it compares.
func (p *Pristine) look() (added []string, err error) {
	found := 0
	err = filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(p.Dir, path)
		if err != nil || name == "." {
			return err
		}
		if name == ".git" {
			return skipTree(d)
		}
		name = filepath.ToSlash(name)
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case p.folders[name]:
			return p.compareFolder(name, info)
		}
		known, ok := p.files[name]
		if !ok {
			added = append(added, path)
			return skipTree(d)
		}
		found++
		return p.compare(path, known, info)
	})
	if err == nil && found < len(p.files) {
		err = fmt.Errorf("%d of %d files are there: %w", found, len(p.files), ErrChanged)
	}
	return added, err
}

func skipTree(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (p *Pristine) compareFolder(name string, info fs.FileInfo) error {
	if info.Mode() != p.mode {
		return fmt.Errorf("%s is %s: %w", name, info.Mode(), ErrChanged)
	}
	return nil
}

// compare looks into a file only when its last change is so near to the moment at which all was well that another one
// could have left the same time.
func (p *Pristine) compare(path string, known entry, info fs.FileInfo) error {
	inode, changed := changeOf(info)
	same := changed.Equal(known.changed) && info.ModTime().Equal(known.modified) && uint32(inode) == known.inode &&
		uint32(info.Size()) == known.size && info.Mode().Type() == known.kind()
	if same && known.changed.After(p.at.Add(-racy)) {
		same = known.blob == p.blobOf(path, info)
	}
	if !same {
		return fmt.Errorf("%s: %w", path, ErrChanged)
	}
	return nil
}

func (e entry) kind() fs.FileMode {
	if e.mode&modeType == modeLink {
		return fs.ModeSymlink
	}
	return 0
}

// blobOf is the raw hash of a file as git computes it, or empty when it cannot be read.
func (p *Pristine) blobOf(path string, info fs.FileInfo) string {
	content, err := contentOf(path, info)
	if err != nil {
		return ""
	}
	sum := sha1.New() //nolint:gosec // git's own hash
	if len(p.Revision) == hex.EncodedLen(sha256.Size) {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", len(content))
	sum.Write(content)
	return string(sum.Sum(nil))
}

func contentOf(path string, info fs.FileInfo) ([]byte, error) {
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(path)
		return []byte(target), err
	}
	return os.ReadFile(path)
}

// restoreGit writes .git anew unless it holds exactly what it held.
func (p *Pristine) restoreGit(remove func(string) error) error {
	dir := filepath.Join(p.Dir, ".git")
	now, err := gitContent(dir)
	if err == nil && sameFiles(now, p.git) {
		return nil
	}
	if err := remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear a checkout: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "refs"), 0o755); err != nil {
		return fmt.Errorf("restore a checkout: %w", err)
	}
	for name, content := range p.git {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			return fmt.Errorf("restore a checkout: %w", err)
		}
	}
	return nil
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, content := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(content, other) {
			return false
		}
	}
	return true
}
