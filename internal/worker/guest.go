package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
	"github.com/towpath-cd/towpath/internal/git"
)

// guestHome is the folder below a gate that is a guest's HOME.
const guestHome = "home"

// guest is a step's user on this machine, whose number is also its group's. Its methods do nothing for a step that is the
// worker itself, which is a nil guest.
//
// What a guest could write into while a step ran may hold links to anything. The worker, which may do everything, gives a
// guest only what it made itself, and reads only what is the guest's own.
type guest struct {
	*isolation
	name   string // of its place
	uid    int
	groups []int          // of gates
	gates  []string       // that it came through
	lends  []string       // folders of history that its git borrows
	cell   *confine.Group // nil without limits
}

// own gives the guest a tree that the worker made, and where no step is at work. A file that has another name elsewhere is
// an error.
func (g *guest) own(dir string) error {
	if g == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || holderOf(info) == g.uid {
			return err
		}
		if !info.IsDir() && linksOf(info) > 1 {
			return fmt.Errorf("%s has another name elsewhere", path)
		}
		return os.Lchown(path, g.uid, g.uid)
	})
}

// ownFolders gives the guest the folders that the worker made on the way to a name below its own.
func (g *guest) ownFolders(dir, name string) error {
	if g == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for way := path.Clean(filepath.ToSlash(name)); way != "."; way = path.Dir(way) {
		info, err := root.Lstat(filepath.FromSlash(way))
		if err != nil {
			return err
		}
		if !info.IsDir() || holderOf(info) == g.uid {
			continue
		}
		if err := root.Lchown(filepath.FromSlash(way), g.uid, g.uid); err != nil {
			return err
		}
	}
	return nil
}

// isForeign says that something is not the guest's own, thus perhaps nothing that it may read.
func (g *guest) isForeign(info fs.FileInfo) bool { return g != nil && holderOf(info) != g.uid }

// mustOwn refuses a tree in which something is not the guest's own.
func (g *guest) mustOwn(dir string) error {
	if g == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && g.isForeign(info) {
			err = fmt.Errorf("%s belongs to somebody else", path)
		}
		return err
	})
}

// open lets the guest, and nobody else, through a folder of the worker's.
func (g *guest) open(dir string) error {
	return errors.Join(os.Chown(dir, 0, g.uid), os.Chmod(dir, 0o710))
}

// home answers the guest's HOME of a kind, behind a gate that leave closes: another pipeline's step has the same user later.
func (g *guest) home(kind string) (string, error) {
	gate := kind + "-" + g.name
	dir := filepath.Join(gate, guestHome)
	if info, err := os.Lstat(dir); err == nil && g.isForeign(info) { // of another range of users
		if err := removeAll(gate); err != nil {
			return "", fmt.Errorf("make the step's HOME: %w", err)
		}
	}
	err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(filepath.Dir(gate), 0o711), os.Lchown(dir, g.uid, g.uid), g.open(gate))
	if err != nil {
		return "", fmt.Errorf("make the step's HOME: %w", err)
	}
	if !slices.Contains(g.gates, gate) {
		g.gates = append(g.gates, gate)
	}
	return dir, nil
}

// borrow lets the guest's git read a mirror's history.
func (g *guest) borrow(m *git.Mirror) error {
	if g == nil || slices.Contains(g.lends, m.Dir()) {
		return nil
	}
	if g.Level == confine.User {
		gate := filepath.Dir(m.Dir())
		if err := os.MkdirAll(gate, 0o700); err != nil {
			return fmt.Errorf("let a step read its history: %w", err)
		}
		group, err := g.admit(gate)
		if err != nil {
			return err
		}
		g.groups, g.gates = append(g.groups, group), append(g.gates, gate)
	}
	g.lends = append(g.lends, m.Dir())
	return nil
}

// enter makes the guest's cell.
func (g *guest) enter() (err error) {
	if g == nil || g.cells == nil {
		return nil
	}
	g.cell, err = g.cells.Make(g.name)
	return err
}

// leave closes the gates, and gives back the cell. Nothing of the guest's runs any more.
func (g *guest) leave() {
	if g == nil {
		return
	}
	for _, gate := range g.gates {
		if strings.HasPrefix(gate, g.dirs.mirrors+string(filepath.Separator)) {
			_ = g.dismiss(gate)
			continue
		}
		_ = os.Chmod(gate, 0o700)
	}
	if g.cell != nil {
		_ = g.cell.Remove() // what is left of it is removed when the worker starts the next time
	}
}

// confinement is how the guest's scripts are run. Whatever it may write is named here.
func (g *guest) confinement(r room, home string, noNetwork bool) shell.Confinement {
	c := g.confinementOf(g)
	if g.Level != confine.Namespaces {
		return c
	}
	c.World = &confine.World{
		Hidden: g.hidden, Writable: []string{r.workspace, r.scratch}, Temporary: r.temporary, NoNetwork: noNetwork,
	}
	for _, dir := range []string{home, r.secrets} {
		if dir != "" {
			c.World.Writable = append(c.World.Writable, dir)
		}
	}
	for _, mirror := range g.lends {
		c.World.ReadOnly = append(c.World.ReadOnly, filepath.Join(mirror, "objects"))
	}
	if g.cell != nil {
		c.World.Cell, c.Limits, c.Met = g.cell.Cell, g.Limits, g.cell.Met
	}
	return c
}

// own is the way to run scripts in this worker's own shell.
func (a *attempt) own(home string) executor.Executor {
	if a.guest == nil {
		return a.shell
	}
	return a.shell.Confined(a.guest.confinement(a.room, home, a.lease.Network == noNetwork))
}

// handOver gives the guest what the worker made for the step, before anything of the guest's runs.
func (a *attempt) handOver() error {
	if a.guest == nil {
		return nil
	}
	for _, service := range a.lease.Services {
		if err := os.MkdirAll(filepath.Join(a.room.scratch, serviceFolder+service.Name), 0o700); err != nil {
			return fmt.Errorf("hand the workspace over: %w", err)
		}
	}
	err := errors.Join(os.MkdirAll(filepath.Join(a.room.scratch, serviceFolder+readyFolder), 0o700), a.guest.own(a.room.scratch))
	if err == nil && len(a.lease.Uses)+len(a.lease.Caches) > 0 {
		err = a.guest.own(a.room.workspace)
	}
	if err = errors.Join(err, a.guest.open(a.dirs.place(a.place)), a.guest.enter()); err != nil {
		return fmt.Errorf("hand the workspace over: %w", err)
	}
	return nil
}
