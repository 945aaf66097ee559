package towpath

import (
	"slices"
	"strings"
	"time"
)

// Pipeline is a pipeline file, read, checked and with every default filled in.
type Pipeline struct {
	Name         string
	Steps        []StepDefinition // in the order of the file; needs point to earlier or later ones, never in a circle
	Environments []EnvironmentDefinition
	Triggers     Triggers
	Concurrency  Concurrency
	Alerts       map[AlertKind][]string // whom to tell of what: "author", accounts, groups, channels; an empty list is nobody
}

// Environment answers the definition of an environment by name.
func (p Pipeline) Environment(name string) (EnvironmentDefinition, bool) {
	i := slices.IndexFunc(p.Environments, func(e EnvironmentDefinition) bool { return e.Name == name })
	if i < 0 {
		return EnvironmentDefinition{}, false
	}
	return p.Environments[i], true
}

// Triggers says which changes become runs.
type Triggers struct {
	Push   bool
	Branch []string      // globs; empty is the default branch
	Paths  []string      // globs; empty is every change
	Poll   time.Duration // 0: polling is off for this pipeline
	Manual bool

	Tags         []string             `json:",omitempty"` // globs of tags; empty: tags start nothing
	PullRequests *PullRequestTriggers `json:",omitempty"` // nil: pull requests start nothing
	Schedules    []Schedule           `json:",omitempty"`
	After        []string             `json:",omitempty"` // pipelines; a run of the default branch follows each that passes
	Inputs       []Input              `json:",omitempty"` // what is asked for beforehand where a person starts it
}

// PullRequestTriggers says which pull requests become runs.
type PullRequestTriggers struct {
	Branches []string // globs of branches that they go to; empty is the default branch
	Paths    []string // globs; empty is every change
}

// Schedule is a time at which a pipeline runs by itself.
type Schedule struct {
	Cron string // minute, hour, day of month, month, day of week, as in crontab(5)
	Zone string // of the IANA database; empty is UTC
}

// InputKind says what may be written into an input.
type InputKind string

// The kinds of inputs.
const (
	InputText   InputKind = "text"
	InputNumber InputKind = "number"
	InputChoice InputKind = "choice"
	InputYesNo  InputKind = "yes/no"
)

// InputKinds lists every kind.
var InputKinds = []InputKind{InputText, InputNumber, InputChoice, InputYesNo}

// Input is something that a person is asked for before a run starts. A script reads it as TOWPATH_INPUT_<NAME>.
type Input struct {
	Name     string // [A-Za-z_][A-Za-z0-9_]*
	Kind     InputKind
	Choices  []string `json:",omitempty"` // of an InputChoice
	Default  string   `json:",omitempty"`
	Required bool     `json:",omitempty"` // it has no default: who starts the run has to say it
}

// Concurrency says what a newer change does to an older run of the same branch.
type Concurrency string

// The values of Concurrency.
const (
	ConcurrencySupersede Concurrency = "supersede" // the older run stops when the newer one reaches the same gate
	ConcurrencyQueue     Concurrency = "queue"     // the newer run begins when the older one has ended
	ConcurrencyParallel  Concurrency = "parallel"  // both go on
)

// StepKind is what a step is for.
type StepKind string

// The kinds of steps, in the order in which they usually stand in a file.
const (
	KindBuild   StepKind = "build"
	KindTest    StepKind = "test"
	KindRun     StepKind = "run"
	KindApprove StepKind = "approve"
	KindDeploy  StepKind = "deploy"
)

// IsScript says that a worker runs the step.
func (k StepKind) IsScript() bool { return k == KindBuild || k == KindTest || k == KindRun }

// IsGate says that a newer run which gets here supersedes older ones that wait here.
func (k StepKind) IsGate() bool { return k == KindApprove || k == KindDeploy }

// Condition says after which outcomes of its needs a step runs.
type Condition string

// The conditions.
const (
	WhenPassed Condition = "passed" // the default: everything it needs passed
	WhenFailed Condition = "failed" // something it needs failed
	WhenAlways Condition = "always" // whatever came of its needs
)

// StepDefinition is a step as the pipeline file has it.
type StepDefinition struct {
	Name     string
	Kind     StepKind
	Line     int      // in the pipeline file, for messages
	Needs    []string // resolved: never implied
	When     Condition
	Of       string            `json:",omitempty"` // the step of the file that this one is a combination of; empty where it is the step itself
	Matrix   map[string]string `json:",omitempty"` // the combination
	Excluded string            // why the expression of `when` leaves the step out of this run; empty where it does not
	Script   *ScriptDefinition
	Approve  *ApproveDefinition
	Deploy   string   // the environment's name, for KindDeploy
	Ships    []string // steps whose artifacts make the release, for KindDeploy; resolved: never implied
}

// ScriptDefinition is what a worker needs to know to run a build, test or run step.
type ScriptDefinition struct {
	Run     string // one script, stops at the first command that fails
	Shell   string // the interpreter's command line, e.g. "bash -euo pipefail"; empty is the worker's default
	Worker  Selector
	Env     map[string]string
	Secrets []string // names; granted by the server, never by the file

	SecretFiles []string `json:",omitempty"` // those of Secrets of which the script sees a file: the variable holds its path

	Uses      []string // steps whose artifacts stand in the workspace
	Artifacts []string // paths in the workspace that are kept
	Platform  string   // "any" where artifacts run everywhere; empty is the worker's own
	Clean     bool     // an empty HOME instead of the kept one
	Checkout  Checkout `json:",omitzero"`
	Timeout   time.Duration
	Retry     Retry
	Cache     []CacheDefinition    `json:",omitempty"`
	Reports   *ReportsDefinition   `json:",omitempty"` // nil: the step has none
	Inside    *ContainerDefinition `json:",omitempty"` // nil: the worker's own shell
	Services  []ServiceDefinition  `json:",omitempty"`
	Network   string               `json:",omitempty"` // NetworkNone; empty is that of the worker, or of its container
}

// ReportsDefinition says where a step's script leaves what its tests came to.
type ReportsDefinition struct {
	JUnit    []string // globs of files in the workspace
	Required bool     // a report that is missing or cannot be read fails the step
}

// Checkout says what of the repository a step finds besides the files of its revision.
type Checkout struct {
	Submodules bool // with the files of submodules
	LFS        bool // with the content of large files, by git-lfs
	Depth      int  // commits of history that the step's git sees; 0 is all
}

// Selector says which workers may take a lease.
type Selector struct {
	OS     string   // GOOS; empty is any
	Arch   string   // GOARCH; empty is any
	Labels []string `json:",omitempty"`
}

// Admits says whether a worker fits.
func (s Selector) Admits(w Worker) bool {
	if s.OS != "" && s.OS != w.OS || s.Arch != "" && s.Arch != w.Arch {
		return false
	}
	return !slices.ContainsFunc(s.Labels, func(label string) bool { return !slices.Contains(w.Labels, label) })
}

// Parts answers what is asked for one by one, each as a selector of its own.
func (s Selector) Parts() []Selector {
	var parts []Selector
	if s.OS != "" {
		parts = append(parts, Selector{OS: s.OS})
	}
	if s.Arch != "" {
		parts = append(parts, Selector{Arch: s.Arch})
	}
	for _, label := range s.Labels {
		parts = append(parts, Selector{Labels: []string{label}})
	}
	return parts
}

// String says in words what is asked for: "os=linux, label gpu". Nothing is empty.
func (s Selector) String() string {
	var parts []string
	if s.OS != "" {
		parts = append(parts, "os="+s.OS)
	}
	if s.Arch != "" {
		parts = append(parts, "arch="+s.Arch)
	}
	for _, label := range s.Labels {
		if program, ok := strings.CutPrefix(label, HasProgram); ok {
			parts = append(parts, program)
			continue
		}
		parts = append(parts, "label "+label)
	}
	return strings.Join(parts, ", ")
}

// ApproveDefinition is an approve step: who decides, how many, how long it waits.
type ApproveDefinition struct {
	By      []string // groups and people
	Count   int
	Within  time.Duration
	Author  bool // the change's author may decide
	Message string
}
