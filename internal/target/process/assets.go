package process

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/durable"
)

// assets lets a page of one release find its scripts in any other that stands beside it: below a folder of each, files that
// it has not itself are hard links to those of the others. Of two that offer the same path, the newer release's counts.
// What came of an older release stays when that is removed, since pages live longer than releases; what came of a newer
// one goes with it, as that one was given up.
type assets struct {
	home   home
	folder string // in a release, with slashes; empty where nothing is linked
}

// inventory is what is known of the folder of one instance. Paths have slashes, and begin there.
type inventory struct {
	Folder string
	Own    []string          // what it had itself when it came
	From   map[string]string `json:",omitempty"` // what it got, with the instance that it is of

	id, root string
}

// mingle gives all instances that are placed what they lack, and one that is about to be, whose files are in staged.
func (a assets) mingle(id, staged string) error {
	if a.folder == "" {
		return nil
	}
	all, err := a.inventories(id, staged)
	if err != nil {
		return err
	}
	for n := range all {
		if err := a.give(&all[n], all); err != nil {
			return err
		}
	}
	return nil
}

// inventories answers those of all instances, the newest first, and forgets those of others.
func (a assets) inventories(id, staged string) ([]inventory, error) {
	folders, err := os.ReadDir(a.home.files)
	if err != nil {
		return nil, err
	}
	roots := make(map[string]string)
	for _, f := range folders {
		if !strings.HasPrefix(f.Name(), ".") {
			roots[f.Name()] = filepath.Join(a.home.files, f.Name())
		}
	}
	if id != "" {
		roots[id] = staged
	}
	if err := a.forget(roots); err != nil {
		return nil, err
	}
	var all []inventory
	for _, id := range slices.SortedFunc(maps.Keys(roots), byNumber) {
		i, err := a.inventory(id, roots[id])
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// byNumber has the newest first.
func byNumber(a, b string) int {
	releaseA, serialA := towpath.ParseInstanceID(a)
	releaseB, serialB := towpath.ParseInstanceID(b)
	return cmp.Or(cmp.Compare(releaseB, releaseA), cmp.Compare(serialB, serialA), cmp.Compare(a, b))
}

func (a assets) forget(roots map[string]string) error {
	entries, err := os.ReadDir(a.home.assets)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Mkdir(a.home.assets, 0o700)
	}
	for _, e := range entries {
		if roots[strings.TrimSuffix(e.Name(), ".json")] == "" {
			err = errors.Join(err, os.Remove(filepath.Join(a.home.assets, e.Name())))
		}
	}
	return err
}

func (a assets) inventoryFile(id string) string { return filepath.Join(a.home.assets, id+".json") }

// inventory reads that of an instance. One that has none yet has only files of its own.
func (a assets) inventory(id, root string) (inventory, error) {
	i := inventory{id: id, root: filepath.Join(root, filepath.FromSlash(a.folder))}
	content, err := os.ReadFile(a.inventoryFile(id))
	if err == nil && json.Unmarshal(content, &i) == nil && i.Folder == a.folder {
		return i, nil
	}
	i.Folder, i.From = a.folder, nil
	there, err := look(i.root)
	if err != nil {
		return i, err
	}
	i.Own = slices.Sorted(maps.Keys(there.files))
	return i, a.write(i)
}

func (a assets) write(i inventory) error {
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return durable.WriteFile(a.inventoryFile(i.id), content)
}

// give lets one instance have what it lacks.
func (a assets) give(to *inventory, all []inventory) error {
	there, err := look(to.root)
	if err != nil {
		return err
	}
	m := newMixing(*to, there)
	m.offerAll(all)
	for path, whose := range m.from {
		if giver := m.at[path]; giver != "" && (!there.files[path] || to.From[path] != whose) {
			n := slices.IndexFunc(all, func(i inventory) bool { return i.id == giver })
			err = errors.Join(err, link(all[n].file(path), to.file(path)))
		}
	}
	for path := range to.From {
		if _, stays := m.from[path]; !stays && !m.own[path] && there.files[path] {
			err = errors.Join(err, os.Remove(to.file(path)))
		}
	}
	if err != nil {
		return err
	}
	to.From = m.from
	return a.write(*to)
}

func (i inventory) file(path string) string { return filepath.Join(i.root, filepath.FromSlash(path)) }

// link has the new name lead to the file at once, also where it led to another before. What a release has lost itself,
// nobody misses elsewhere.
func link(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	beside := to + ".towpath"
	_ = os.Remove(beside) // one that a keeper left which was killed
	if err := os.Link(from, beside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.Rename(beside, to); err != nil {
		return err
	}
	if err := os.Remove(beside); !errors.Is(err, fs.ErrNotExist) {
		return err // the same file before: renaming did nothing (rename(2))
	}
	return nil
}
