package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// controllers are those that limits need.
var controllers = []string{"memory", "pids", "cpu"}

// removeLimit is how long a cell may take to be empty whose processes are killed.
const removeLimit = 5 * time.Second

// Cells makes control groups with limits, below the one that this process is in.
type Cells struct {
	name    string            // begins the names of all
	folders map[string]string // by controller, of version 1; under "" the one of version 2
	limits  Limits
}

// OpenCells finds the control groups of this machine, of either version, and removes what a former process left of that
// name. The error is an ErrUnsupported where there are none that this process may make.
func OpenCells(name string, limits Limits) (*Cells, error) {
	folders, err := findControllers()
	if err != nil {
		return nil, err
	}
	c := &Cells{name: "towpath-" + name, folders: folders, limits: limits}
	if err := c.clear(); err != nil {
		return nil, err
	}
	trial, err := c.Make("trial")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return c, trial.Remove()
}

func (c *Cells) clear() error {
	for _, folder := range c.folders {
		left, _ := filepath.Glob(filepath.Join(folder, c.name+"-*"))
		for _, dir := range left {
			if err := removeGroup(dir); err != nil {
				return fmt.Errorf("remove what a former worker left: %w", err)
			}
		}
	}
	return nil
}

// Group is a cell with its limits.
type Group struct {
	Cell
	limits  Limits
	folders map[string]string // by controller
}

// Make makes the cell of a name, which must not be there.
func (c *Cells) Make(name string) (*Group, error) {
	g := &Group{limits: c.limits, folders: make(map[string]string, len(c.folders))}
	for controller, folder := range c.folders {
		dir := filepath.Join(folder, c.name+"-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { // controllers may share a folder
			return nil, errors.Join(fmt.Errorf("make a control group: %w", err), g.Remove())
		}
		g.folders[controller] = dir
		if controller == "" {
			g.Dir = dir
		} else if tasks := filepath.Join(dir, "tasks"); !slices.Contains(g.Tasks, tasks) {
			g.Tasks = append(g.Tasks, tasks)
		}
	}
	if err := g.limit(); err != nil {
		return nil, errors.Join(fmt.Errorf("limit a control group: %w", err), g.Remove())
	}
	return g, nil
}

// Remove takes the cell away, whose processes have been ended.
func (g *Group) Remove() error {
	var failed error
	for _, dir := range g.folders {
		failed = errors.Join(failed, removeGroup(dir))
	}
	return failed
}

// removeGroup waits for processes that are on their way out.
func removeGroup(dir string) error {
	for deadline := time.Now().Add(removeLimit); ; {
		err := unix.Rmdir(dir)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
			return nil
		case !errors.Is(err, unix.EBUSY) || time.Now().After(deadline):
			return fmt.Errorf("remove the control group %s: %w", dir, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// limit writes the limits, as the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst name them.
func (g *Group) limit() error {
	set := g.setOf1
	if g.Dir != "" {
		set = g.setOf2
	}
	return set()
}

// period is the time in which a share of processors' time is measured, in µs: the kernel's own default.
const period = 100_000

// A cell gets a third of what those beside it get who are in none, where there is not enough for all: as much as a process
// that gives way (process.GiveWay) beside one that does not. Version 1 counts in 1,024ths, version 2 in hundredths.
const (
	shareOf1 = 335
	shareOf2 = 33
)

func (g *Group) setOf1() error {
	failed := g.write("cpu", "cpu.shares", strconv.Itoa(shareOf1))
	if n := g.limits.Memory; n > 0 {
		failed = errors.Join(failed, g.write("memory", "memory.limit_in_bytes", strconv.FormatInt(n, 10)))
		if g.has("memory", "memory.memsw.limit_in_bytes") {
			failed = errors.Join(failed, g.write("memory", "memory.memsw.limit_in_bytes", strconv.FormatInt(n, 10)))
		}
	}
	if n := g.limits.Processes; n > 0 {
		failed = errors.Join(failed, g.write("pids", "pids.max", strconv.Itoa(n)))
	}
	if cpus := g.limits.CPUs; cpus > 0 {
		failed = errors.Join(failed,
			g.write("cpu", "cpu.cfs_period_us", strconv.Itoa(period)), g.write("cpu", "cpu.cfs_quota_us", strconv.Itoa(int(cpus*period))))
	}
	return failed
}

func (g *Group) setOf2() error {
	failed := g.write("", "cpu.weight", strconv.Itoa(shareOf2))
	if n := g.limits.Memory; n > 0 {
		failed = errors.Join(failed, g.write("", "memory.max", strconv.FormatInt(n, 10)))
		if g.has("", "memory.swap.max") {
			failed = errors.Join(failed, g.write("", "memory.swap.max", "0"))
		}
	}
	if n := g.limits.Processes; n > 0 {
		failed = errors.Join(failed, g.write("", "pids.max", strconv.Itoa(n)))
	}
	if cpus := g.limits.CPUs; cpus > 0 {
		failed = errors.Join(failed, g.write("", "cpu.max", fmt.Sprintf("%d %d", int(cpus*period), period)))
	}
	return failed
}

func (g *Group) write(controller, file, value string) error {
	return os.WriteFile(filepath.Join(g.folders[controller], file), []byte(value), 0)
}

func (g *Group) has(controller, file string) bool {
	_, err := os.Stat(filepath.Join(g.folders[controller], file))
	return err == nil
}

// Met says which limits its processes ran into so far.
func (g *Group) Met() Met {
	return Met{
		Memory: g.limits.Memory > 0 && g.killed() > 0, Processes: g.limits.Processes > 0 && g.refused() > 0, Held: g.held(),
	}
}

func (g *Group) killed() int {
	if g.Dir != "" {
		return g.count("", "memory.events", "oom_kill")
	}
	return g.count("memory", "memory.oom_control", "oom_kill")
}

func (g *Group) refused() int {
	if g.Dir != "" {
		return g.count("", "pids.events", "max")
	}
	return g.count("pids", "pids.events", "max")
}

// held is how long processes that could have run did not, for the limit of processors' time.
func (g *Group) held() time.Duration {
	if g.Dir != "" {
		return time.Duration(g.count("", "cpu.stat", "throttled_usec")) * time.Microsecond
	}
	return time.Duration(g.count("cpu", "cpu.stat", "throttled_time"))
}

// count reads a file of lines with a name and a number.
func (g *Group) count(controller, file, name string) int {
	text, err := os.ReadFile(filepath.Join(g.folders[controller], file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}
