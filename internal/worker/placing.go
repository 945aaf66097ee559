package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// furnish puts the artifacts that the step uses where they stood when they were kept, instead of what the repository
// has there. Artifacts of one path, or one inside another's, are laid over each other in the order of the lease.
func (a *attempt) furnish(ctx context.Context) error {
	if len(a.lease.Uses) == 0 {
		return nil
	}
	root, err := os.OpenRoot(a.dirs.place(a.place))
	if err != nil {
		return fmt.Errorf("open the workspace: %w", err)
	}
	defer root.Close()
	p := placing{root: root, workspace: filepath.Base(a.room.workspace), aside: "replaced-"}
	server := a.Client.ArtifactsOfLease(a.lease.LeaseRef)
	for i, use := range a.lease.Uses {
		unpacked := path.Join(".towpath", "artifact-"+strconv.Itoa(i))
		err := persist(ctx, func() error {
			return a.cache.unpack(ctx, server, use.Digest, filepath.Join(root.Name(), filepath.FromSlash(unpacked)))
		})
		if err == nil {
			err = p.put(unpacked, use)
		}
		if err != nil {
			return fmt.Errorf("%w %s of %s: %w", errArtifact, use.Path, use.Step, err)
		}
	}
	return nil
}

// placing moves trees into a workspace, which may hold links that lead anywhere: the root cannot be left. All names
// are slashed and below the root, which is the place's folder.
type placing struct {
	root      *os.Root
	workspace string
	placed    []string // paths of artifacts that are there
	aside     string   // begins the names of what was moved away
	moved     int
}

func (p *placing) put(unpacked string, use client.Artifact) error {
	name := path.Clean(use.Path)
	if !filepath.IsLocal(name) || name == ".git" || strings.HasPrefix(name, ".git/") {
		return errors.New("the path is not one of the workspace")
	}
	target := path.Join(p.workspace, name)
	if err := p.root.MkdirAll(path.Dir(target), 0o755); err != nil {
		return err
	}
	if !p.overlaps(name) {
		if err := p.clear(target); err != nil {
			return err
		}
	}
	p.placed = append(p.placed, name)
	return p.moveIn(unpacked, target)
}

func (p *placing) overlaps(name string) bool {
	for _, other := range p.placed {
		if isBelow(name, other) || isBelow(other, name) {
			return true
		}
	}
	return false
}

func isBelow(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// clear takes away what stands at target; of the whole workspace all but .git.
func (p *placing) clear(target string) error {
	if target != p.workspace {
		return p.away(target)
	}
	entries, err := fs.ReadDir(p.root.FS(), target)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == ".git" {
			continue
		}
		if err := p.away(path.Join(target, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// away moves something to where the step's end finds it.
func (p *placing) away(target string) error {
	p.moved++
	err := p.root.Rename(target, path.Join(".towpath", p.aside+strconv.Itoa(p.moved)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// moveIn moves a tree to target. Where both have a folder, the one's content goes into the other.
func (p *placing) moveIn(from, target string) error {
	if !p.isFolder(from) || !p.isFolder(target) {
		if err := p.away(target); err != nil {
			return err
		}
		return p.root.Rename(from, target)
	}
	entries, err := fs.ReadDir(p.root.FS(), from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := p.moveIn(path.Join(from, entry.Name()), path.Join(target, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (p *placing) isFolder(name string) bool {
	info, err := p.root.Lstat(name)
	return err == nil && info.IsDir()
}
