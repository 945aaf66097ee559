package hosts

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// What an instance has beside its web process is looked after on its host (script_supervise.go). It is started before the web
// process and told to end before that: so an instance whose web process runs was started whole, and one whose web process was
// stopped was told to stop whole, wherever its keeper was killed.

// hopeless is after how many ends in a row a process that is proved is given up.
const hopeless = 3

// kinds of processes, by the folders that they have on a host.
const (
	ordinary = "processes"
	single   = "singles"
)

// furnish adds to a script what it starts beside instances: the same processes for each of the seats.
func (d *Driver) furnish(v variables, r towpath.Release, seats []seat, processes []towpath.ProcessDefinition) {
	v["TW_P"] = strconv.Itoa(len(processes))
	if len(processes) == 0 {
		return
	}
	v["TW_RUNNER"], v["TW_SUPERVISOR"] = scriptRunner, scriptSupervisor
	for j, p := range processes {
		v[fmt.Sprintf("TW_PNAME_%d", j+1)], v[fmt.Sprintf("TW_PCOMMAND_%d", j+1)] = p.Name, p.Command
		v[fmt.Sprintf("TW_PSPEC_%d", j+1)] = fmt.Sprintf("%s %d", p.Stop.Signal, p.Stop.Within/(10*time.Millisecond))
		for k, s := range seats {
			v[fmt.Sprintf("TW_PENV_%d_%d", k+1, j+1)] = environFile(d.environBeside(r, s, p))
		}
	}
}

// environBeside is what a process finds: all that the web process does but its port, and its name.
func (d *Driver) environBeside(r towpath.Release, s seat, p towpath.ProcessDefinition) map[string]string {
	env := d.variablesOf(r, s)
	delete(env, "PORT")
	env["TOWPATH_PROCESS"] = p.Name
	if p.Single {
		env["TOWPATH_SINGLE"] = d.markOf(p.Name)
	}
	return env
}

// markOf is what single processes of a name are known by, beside whichever instance they run.
func (d *Driver) markOf(process string) string { return d.definition.Path + "@" + process + "/" }

// longestStop is how long the slowest of the definition's processes may take to end.
func longestStop(d towpath.EnvironmentDefinition) (longest time.Duration) {
	for _, p := range d.Processes {
		longest = max(longest, p.Stop.Within)
	}
	return longest
}

// supervised is a process as its host's files and its process table tell of it.
type supervised struct {
	kind, instance, name string
	isWanted             bool
	status, boot         string
	lives                bool // its supervisor does
	runs                 bool
	left                 string // process IDs of what is left of it, where neither of those is alive
	at                   int64  // by the host's clock: since when it has its status
	failures             int    // ends in a row
	code                 string // exit code, as the shell has it
	log                  []string
}

func newSupervised(w word) supervised {
	id, name, _ := strings.Cut(w.at(1), "@")
	p := supervised{
		kind: w.at(0), instance: id, name: name, isWanted: w.at(2) == "run", status: w.at(3), boot: w.at(4),
		lives: w.at(5) != "", runs: w.at(6) != "", left: w.at(7), code: w.at(10),
	}
	p.at, _ = strconv.ParseInt(w.at(8), 10, 64)
	p.failures, _ = strconv.Atoi(w.at(9))
	return p
}

// hasEnded says that nothing of a process is left, and that nobody will start it again without an order.
func (p supervised) hasEnded() bool {
	return p.status == "stopped" && !p.isWanted || !p.lives && !p.runs && p.left == ""
}

// state never says that something has ended while anything of it may run.
func (p supervised) state() towpath.InstanceState {
	isBeginning := p.lives && p.status == "starting" && p.failures == 0
	switch {
	case !p.isWanted && p.hasEnded():
		return towpath.InstanceStopped
	case p.runs, isBeginning:
		return towpath.InstanceRunning
	}
	return towpath.InstanceFailing
}

// problem says why a process does not run; empty where it does, and where it is not to.
func (p supervised) problem(boot string) string {
	switch {
	case p.runs, p.state() == towpath.InstanceStopped:
		return ""
	case p.boot != boot:
		return "it was not started again yet since its host was"
	case !p.lives:
		return "what looked after it was killed"
	}
	return exitOf(p.code)
}

// exitOf puts an exit code of the shell into words.
func exitOf(code string) string {
	number, err := strconv.Atoi(code)
	switch {
	case code == "?":
		return "ended unseen"
	case err != nil:
		return "its process does not run yet"
	case number > 128:
		return fmt.Sprintf("ended by signal %d (%s)", number-128, syscall.Signal(number-128))
	}
	return fmt.Sprintf("ended with exit code %d", number)
}

// isSteady says that a process runs, and not just for its first moments.
func (p supervised) isSteady() bool { return p.runs && p.status == "running" }

// besides are the processes beside an instance, without what is single.
func (t table) besides(id string) []supervised {
	return slices.DeleteFunc(slices.Clone(t.processes), func(p supervised) bool { return p.kind != ordinary || p.instance != id })
}

// beside tells of the processes beside an instance, by name.
func (t table) beside(all []supervised) (processes []towpath.Process) {
	for _, p := range all {
		processes = append(processes, towpath.Process{
			Name: p.name, State: p.state(), Since: t.time(p.at), Problem: p.problem(t.boot), Log: p.log,
		})
	}
	return processes
}

// problemBeside says which process does not run that should; empty where all do.
func (t table) problemBeside(all []supervised) string {
	for _, p := range all {
		if problem := p.problem(t.boot); problem != "" {
			return p.name + ": " + problem
		}
	}
	return ""
}

// unended names a process that is not over though its instance is; empty where all are.
func unended(all []supervised) string {
	for _, p := range all {
		if p.state() != towpath.InstanceStopped {
			return p.name + " has not ended"
		}
	}
	return ""
}

func areSteady(all []supervised) bool {
	return !slices.ContainsFunc(all, func(p supervised) bool { return !p.isSteady() })
}

// desperate answers the process that ends again and again.
func desperate(all []supervised) (supervised, bool) {
	n := slices.IndexFunc(all, func(p supervised) bool { return p.failures >= hopeless && !p.isSteady() })
	if n < 0 {
		return supervised{}, false
	}
	return all[n], true
}

// givenUp is the error of a process that ends again and again.
func givenUp(p supervised) error {
	release, _ := towpath.ParseInstanceID(p.instance)
	return &deploy.Permanent{
		Err: fmt.Errorf("%s of %s of release %d ended %d times in a row: %s", p.name, p.instance, release, p.failures, exitOf(p.code)),
		Log: p.log,
	}
}

// killed tells of processes that had to be made to end.
func killed(said []word) string {
	var told []string
	for _, w := range said {
		if w.is == "killed" {
			within, _ := strconv.Atoi(w.at(2))
			told = append(told, fmt.Sprintf("%s of %s did not end within %s and was killed", w.at(0), w.at(1), time.Duration(within)*10*time.Millisecond))
		}
	}
	return strings.Join(told, "; ")
}

// readProcesses adds what a host tells of its processes.
func (t *table) readProcesses(w word) {
	switch w.is {
	case ordinary, single:
		t.processes = append(t.processes, newSupervised(word{is: w.is, parts: append([]string{w.is}, w.parts...)}))
	case "said":
		for n := range t.processes {
			if p := &t.processes[n]; p.folder() == w.at(0) {
				p.log = append(p.log, strings.Join(w.parts[1:], "\t"))
			}
		}
	}
}

// folder is the process's on its host, below .towpath.
func (p supervised) folder() string { return path.Join(p.kind, p.instance+"@"+p.name) }
