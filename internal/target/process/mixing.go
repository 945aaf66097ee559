package process

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/towpath-cd/towpath"
)

// tree is what stands in a folder, by paths with slashes.
type tree struct {
	files   map[string]bool
	folders map[string]bool
	others  map[string]bool // links, and what else there may be
}

// look reads a folder. One that is not there is empty; one that is a link is not followed.
func look(root string) (tree, error) {
	t := tree{files: make(map[string]bool), folders: make(map[string]bool), others: make(map[string]bool)}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, name)
		below = filepath.ToSlash(below)
		switch {
		case entry.IsDir():
			t.folders[below] = true
		case entry.Type().IsRegular():
			t.files[below] = true
		default:
			t.others[below] = true
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	return t, err
}

// mixing decides what an instance gets of others.
type mixing struct {
	to    inventory
	there tree
	own   map[string]bool
	from  map[string]string // by path: whose it is
	at    map[string]string // by path: who has it; empty where it is there already
	above map[string]bool   // folders of what it gets
}

func newMixing(to inventory, there tree) mixing {
	m := mixing{
		to: to, there: there, own: make(map[string]bool),
		from: make(map[string]string), at: make(map[string]string), above: make(map[string]bool),
	}
	for _, p := range to.Own {
		m.own[p] = true
	}
	for p := range there.files {
		if to.From[p] == "" {
			m.own[p] = true // made since
		}
	}
	return m
}

// offerAll takes from the others, of which the newest come first, and then keeps what came of those that are gone.
func (m mixing) offerAll(all []inventory) {
	isThere := make(map[string]bool)
	for _, other := range all {
		isThere[other.id] = true
		if other.id == m.to.id {
			continue
		}
		for _, p := range other.Own {
			m.offer(p, other.id, other.id)
		}
		if releaseOf(other.id) == releaseOf(m.to.id) {
			for p, whose := range other.From {
				m.offer(p, whose, other.id)
			}
		}
	}
	for p, whose := range m.to.From {
		if m.there.files[p] && !isThere[whose] && releaseOf(whose) < releaseOf(m.to.id) {
			m.offer(p, whose, "")
		}
	}
}

func releaseOf(id string) int {
	release, _ := towpath.ParseInstanceID(id)
	return release
}

func (m mixing) offer(p, whose, at string) {
	if known, is := m.from[p]; !m.fits(p) || is && releaseOf(known) >= releaseOf(whose) {
		return
	}
	m.from[p], m.at[p] = whose, at
	for folder := path.Dir(p); folder != "."; folder = path.Dir(folder) {
		m.above[folder] = true
	}
}

// fits says that nothing is in the way of a path.
func (m mixing) fits(p string) bool {
	if m.own[p] || m.there.folders[p] || m.there.others[p] || m.above[p] || m.there.others["."] {
		return false
	}
	for folder := path.Dir(p); folder != "."; folder = path.Dir(folder) {
		if m.own[folder] || m.there.others[folder] || m.from[folder] != "" {
			return false
		}
	}
	return true
}
