package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

// Isolation says how far the steps of the worker's own shell are kept from each other, and from the worker.
type Isolation struct {
	Level  confine.Level  // "" is confine.None
	Users  confine.Users  // whom steps run as; two for each slot at least. Nobody else may have them
	Helper confine.Helper // starts them
	Folder string         // absolute; holds DataDir and whatever else steps are not to see. Empty is DataDir itself
	Limits confine.Limits // of each step, at confine.Namespaces
}

// DefaultProcesses is how many processes and threads a step may have at a time, where nobody says.
const DefaultProcesses = 4096

// trialLimit bounds the first script that is run apart, to see whether this machine can do it.
const trialLimit = time.Minute

// isolation is what steps that are kept apart share.
type isolation struct {
	Isolation
	dirs   folders
	cells  *confine.Cells // nil without limits
	hidden []string

	mutex sync.Mutex
	gates map[string]*gate // by path
}

// gate is a folder above a mirror, through which come those who are in its group.
type gate struct {
	group, guests int
}

// newIsolation prepares the machine, and tries it; nil where steps are not kept apart. What the machine does not give is an
// error, with what can be done.
func newIsolation(ctx context.Context, w *worker) (*isolation, error) {
	i := &isolation{Isolation: w.Isolation, dirs: w.dirs, gates: make(map[string]*gate)}
	if i.Level == "" || i.Level == confine.None {
		return nil, nil
	}
	if i.Folder == "" {
		i.Folder = w.dirs.base
	}
	if err := i.prepare(ctx, w); err != nil {
		return nil, fmt.Errorf("steps cannot be kept apart (--isolation %s): %w", i.Level, err)
	}
	return i, nil
}

func (i *isolation) prepare(ctx context.Context, w *worker) error {
	if err := i.mustBeRoot(); err != nil {
		return err
	}
	if err := i.mustHaveUsers(w.Slots); err != nil {
		return err
	}
	open := i.openWay
	if i.Level == confine.Namespaces {
		open = i.openCells
	}
	if err := open(); err != nil {
		return err
	}
	return i.try(ctx, w.shell)
}

// level also answers for who keeps nothing apart.
func (i *isolation) level() confine.Level {
	if i == nil {
		return confine.None
	}
	return i.Level
}

func (i *isolation) mustBeRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start them as other users; run the worker as root, or with --isolation none")
	}
	return nil
}

func (i *isolation) mustHaveUsers(slots int) error {
	if need := 2 * slots; i.Users.Count() < need {
		return fmt.Errorf("%d slots need %d users, and %s are %d; widen --isolation-users", slots, need, i.Users, i.Users.Count())
	}
	return nil
}

// openWay lets users go through the folders that lead to their own, and look into none.
func (i *isolation) openWay() error {
	for _, dir := range []string{i.dirs.work, i.dirs.homes, i.dirs.mirrors} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("let users through: %w", err)
		}
	}
	below, err := filepath.Rel(i.Folder, i.dirs.base)
	if err != nil || !filepath.IsLocal(below) {
		return fmt.Errorf("the folder %s is not in %s", i.dirs.base, i.Folder)
	}
	for dir := i.dirs.base; len(dir) >= len(i.Folder); dir = filepath.Dir(dir) { // not beyond: what is above is not ours
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("let users through: %w", err)
		}
	}
	if closed := confine.Closed(i.dirs.base); closed != "" {
		return fmt.Errorf("%s lets nobody but its owner through; have the data folder elsewhere (--data)", closed)
	}
	return nil
}

// openCells finds the control groups, and what else has to be hidden, so that the way to what a step sees is open.
func (i *isolation) openCells() error {
	i.hidden = []string{i.Folder}
	if closed := confine.Closed(i.Folder); closed != "" {
		i.hidden = []string{closed}
	}
	if i.Limits.Processes == 0 {
		i.Limits.Processes = DefaultProcesses
	}
	var err error
	i.cells, err = confine.OpenCells(nameOf(i.dirs.base), i.Limits)
	return err
}

// try runs a script as a step's would be run.
func (i *isolation) try(ctx context.Context, sh shell.Shell) error {
	place := i.dirs.place(-1)
	defer func() { _ = removeAll(place) }()
	g := i.guest(-1)
	r := roomIn(place, "trial")
	if err := errors.Join(removeAll(place), os.MkdirAll(r.workspace, 0o700), r.open(), g.own(r.workspace), g.own(r.scratch), g.open(place)); err != nil {
		return err
	}
	if err := g.enter(); err != nil {
		return err
	}
	defer g.leave()
	var said tail
	result, err := sh.Confined(g.confinement(r, "", false)).Run(ctx, executor.Script{
		Text: "test -w .", Dir: r.workspace, Scratch: r.scratch, Output: &said, Timeout: trialLimit,
		Env: []string{"PATH=" + os.Getenv("PATH")},
	})
	if err == nil && !result.Passed() {
		err = errors.New(result.Reason)
	}
	if err != nil {
		return fmt.Errorf("a trial failed: %w %s", err, said.bytes())
	}
	return nil
}

// admit has a guest come through a gate: of those who are inside at a time, all have the gate's group.
func (i *isolation) admit(path string) (group int, err error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if known := i.gates[path]; known != nil {
		known.guests++
		return known.group, nil
	}
	group, err = i.freeGroup()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(os.Chown(path, 0, group), os.Chmod(path, 0o710)); err != nil {
		return 0, fmt.Errorf("let a step read its history: %w", err)
	}
	i.gates[path] = &gate{group: group, guests: 1}
	return group, nil
}

// freeGroup is one that no gate has. The last ones of the range are groups: the first are users.
func (i *isolation) freeGroup() (int, error) {
	taken := func(group int) bool {
		for _, g := range i.gates {
			if g.group == group {
				return true
			}
		}
		return false
	}
	for group := i.Users.Last; group > i.Users.First+i.Users.Count()/2-1; group-- {
		if !taken(group) {
			return group, nil
		}
	}
	return 0, fmt.Errorf("the steps of now use more repositories than %s has groups; widen --isolation-users", i.Users)
}

// dismiss closes a gate behind the last one.
func (i *isolation) dismiss(path string) error {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	g := i.gates[path]
	if g == nil {
		return nil
	}
	if g.guests--; g.guests > 0 {
		return nil
	}
	delete(i.gates, path)
	return errors.Join(os.Chmod(path, 0o700), os.Chown(path, 0, 0))
}

// guest is who the step in a place is; nil where it is the worker.
func (i *isolation) guest(place int) *guest {
	if i == nil {
		return nil
	}
	return &guest{isolation: i, name: strconv.Itoa(place + 1), uid: i.Users.First + max(place, 0)}
}

func (i *isolation) confinementOf(g *guest) shell.Confinement {
	return shell.Confinement{Helper: i.Helper, UID: g.uid, GID: g.uid, Groups: slices.Clone(g.groups)}
}
