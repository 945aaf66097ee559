// Package config is the settings of the server and of a worker: defaults, over them one YAML file, over that the
// environment, over that flags. A setting that is wrong is an error that names it, before anything is started.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/goccy/go-yaml"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/confine"
)

// DefaultListen is the address of a server whose settings name none.
const DefaultListen = "127.0.0.1:8470"

// leastLog is the smallest limit of a log.
const leastLog Size = 100e3

// leastCache is the smallest limit of a cache: 0 would be no limit elsewhere, and is none here.
const leastCache Size = 1e6

// leastArtifact is the smallest limit of an artifact.
const leastArtifact Size = 1e6

// mostFiles is the largest number of files of an artifact, whose list has to fit into one call.
const mostFiles = 400_000

// Server is the settings of a server. Every field has its place in the file, and in the environment as
// TOWPATH_<NAME>.
type Server struct {
	Data    string `yaml:"data" env:"DATA"`     // folder of everything that lasts
	Listen  string `yaml:"listen" env:"LISTEN"` // host:port
	URL     string `yaml:"url" env:"URL"`       // where people reach the server; empty is http://<listen>
	Worker  Worker `yaml:"worker" envPrefix:"WORKER_"`
	Alerts  Alerts `yaml:"alerts" envPrefix:"ALERTS_"`
	Keep    Keep   `yaml:"keep" envPrefix:"KEEP_"`
	LogJSON bool   `yaml:"log_json" env:"LOG_JSON"`

	LogLimit Size `yaml:"log_limit" env:"LOG_LIMIT"` // that is kept of what one step prints

	ArtifactLimit Size `yaml:"artifact_limit" env:"ARTIFACT_LIMIT"` // of the files of one artifact, or of one entry of a cache
	ArtifactFiles int  `yaml:"artifact_files" env:"ARTIFACT_FILES"` // that it may have

	WaitForWorker time.Duration `yaml:"wait_for_worker" env:"WAIT_FOR_WORKER"` // how long a step waits that no worker can run; 0s is for ever
	CacheLimit    Size          `yaml:"cache_limit" env:"CACHE_LIMIT"`         // of the files that the steps of one project keep for later ones
	DebugShell    DebugShell    `yaml:"debug_shell" envPrefix:"DEBUG_SHELL_"`

	SecretCommands map[string]SecretCommand `yaml:"secret_commands"` // by the names that secrets refer to; in the file only
}

// Worker is the settings of a worker, inside the server or on its own.
type Worker struct {
	Off     bool     `yaml:"off" env:"OFF"` // the server starts none inside itself
	Name    string   `yaml:"name" env:"NAME"`
	Labels  []string `yaml:"labels" env:"LABELS"`
	Slots   int      `yaml:"slots" env:"SLOTS"`       // steps at a time
	PassEnv []string `yaml:"pass_env" env:"PASS_ENV"` // variables that scripts get besides PATH
	Proxy   string   `yaml:"proxy" env:"PROXY"`       // data folder of the proxy on this machine

	Isolation      confine.Level `yaml:"isolation" env:"ISOLATION"`             // how far steps are kept from each other
	IsolationUsers confine.Users `yaml:"isolation_users" env:"ISOLATION_USERS"` // whom they run as then
	StepMemory     Size          `yaml:"step_memory" env:"STEP_MEMORY"`         // that a step may use in namespaces; 0B is any amount
	StepCPUs       float64       `yaml:"step_cpus" env:"STEP_CPUS"`             // processors' time of a step in namespaces; 0 is any amount
	StepProcesses  int           `yaml:"step_processes" env:"STEP_PROCESSES"`   // of a step in namespaces at a time

	Kubernetes Kubernetes `yaml:"kubernetes" envPrefix:"KUBERNETES_"`
}

// Kubernetes says whether a worker runs its steps inside of containers in a cluster, and in which.
type Kubernetes struct {
	On          bool   `yaml:"on" env:"ON"`
	Kubeconfig  string `yaml:"kubeconfig" env:"KUBECONFIG"`     // file; empty: as kubectl finds it, or the pod's service account
	Context     string `yaml:"context" env:"CONTEXT"`           // of that file; empty: its current one
	Namespace   string `yaml:"namespace" env:"NAMESPACE"`       // empty: the context's, or the pod's
	HelperImage string `yaml:"helper_image" env:"HELPER_IMAGE"` // that carries files; empty: the step's own
}

// Alerts says how people are told.
type Alerts struct {
	Webhook string `yaml:"webhook" env:"WEBHOOK"`               // address that alerts are posted to
	Secret  string `yaml:"webhook_secret" env:"WEBHOOK_SECRET"` // signs them
}

// Keep says what stays: runs, logs, artifacts and deliveries older than that go, except what is live, on standby or pinned. 0s
// is for ever.
type Keep struct {
	Runs      time.Duration `yaml:"runs" env:"RUNS"`
	Logs      time.Duration `yaml:"logs" env:"LOGS"`
	Artifacts time.Duration `yaml:"artifacts" env:"ARTIFACTS"`

	Deliveries time.Duration `yaml:"deliveries" env:"DELIVERIES"` // of webhooks
}

// DefaultServer is the settings where nothing is said.
func DefaultServer() Server {
	const day = 24 * time.Hour
	inside := DefaultWorker()
	inside.Name = "server" // so that a worker beside the server can have the host's name
	return Server{
		Data: DefaultData("server"), Listen: DefaultListen, Worker: inside,
		Keep: Keep{Runs: 365 * day, Logs: 90 * day, Artifacts: 30 * day, Deliveries: 30 * day}, LogLimit: 256e6, CacheLimit: 10e9,
		ArtifactLimit: 20e9, ArtifactFiles: 200_000,
		WaitForWorker: day, DebugShell: DebugShell{Allow: towpath.ShellsUnprotected, Idle: 15 * time.Minute, Limit: time.Hour},
	}
}

// DefaultWorker is a worker's settings where nothing is said.
func DefaultWorker() Worker {
	name, err := os.Hostname()
	if err != nil {
		name = "worker"
	}
	return Worker{
		Name: workerName(name), Slots: 2, Proxy: DefaultData("proxy"),
		Isolation: confine.None, IsolationUsers: confine.DefaultUsers(), StepProcesses: 4096,
	}
}

// wrong says what cannot be of a step's limits.
func (w Worker) wrong() error {
	const leastMemory Size = 4e6
	switch {
	case w.StepMemory != 0 && w.StepMemory < leastMemory:
		return fmt.Errorf("step_memory: %s; no step runs in less than %s, and 0B is any amount", w.StepMemory, leastMemory)
	case w.StepCPUs < 0 || w.StepCPUs > 0 && w.StepCPUs < 0.01:
		return fmt.Errorf("step_cpus: %g; at least 0.01, and 0 is any amount", w.StepCPUs)
	case w.StepProcesses < 1:
		return fmt.Errorf("step_processes: %d; a step is one at least", w.StepProcesses)
	}
	return nil
}

// Check says what is wrong of a worker's settings.
func (w Worker) Check() error {
	if err := w.wrong(); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "%s", err).WithHint("towpath worker --help names the settings")
	}
	return nil
}

// workerName makes a worker's name of a host's: lower case, with a dash for what a name may not hold.
func workerName(host string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(host))
	return strings.Trim(name, "-.")
}

// DefaultData is the data folder of a part: "server", "worker" or "proxy".
func DefaultData(part string) string {
	base := os.Getenv("XDG_DATA_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "towpath", part)
}

// LoadServer reads the settings of a server. Without a path there is no file.
func LoadServer(path string) (Server, error) {
	s := DefaultServer()
	if path != "" {
		if err := readFile(path, &s); err != nil {
			return s, err
		}
	}
	if err := env.ParseWithOptions(&s, env.Options{Prefix: "TOWPATH_"}); err != nil {
		return s, towpath.Errorf(towpath.CodeInvalid, "environment: %s", err)
	}
	return s, nil
}

func readFile(path string, into *Server) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return towpath.Errorf(towpath.CodeNotFound, "there is no settings file %s", path)
	}
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	read := *into
	if err := yaml.UnmarshalWithOptions(text, &read, yaml.Strict()); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "%s: %s", path, yaml.FormatError(err, false, true))
	}
	return into.take(read, text)
}

// take takes over what was read. A key without a value, such as one whose settings are all commented out, says nothing:
// the decoder would make it the zero value, and of an empty file all of them.
func (s *Server) take(read Server, text []byte) error {
	var given map[string]any
	if err := yaml.Unmarshal(text, &given); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if len(given) == 0 {
		return nil
	}
	defaults := *s
	*s = read
	for name, restore := range map[string]func(){
		"data":   func() { s.Data = defaults.Data },
		"listen": func() { s.Listen = defaults.Listen },
		"worker": func() { s.Worker = defaults.Worker },
		"alerts": func() { s.Alerts = defaults.Alerts },
		"keep":   func() { s.Keep = defaults.Keep },

		"log_limit": func() { s.LogLimit = defaults.LogLimit },

		"artifact_limit": func() { s.ArtifactLimit = defaults.ArtifactLimit },
		"artifact_files": func() { s.ArtifactFiles = defaults.ArtifactFiles },

		"wait_for_worker": func() { s.WaitForWorker = defaults.WaitForWorker },
		"cache_limit":     func() { s.CacheLimit = defaults.CacheLimit },
		"debug_shell":     func() { s.DebugShell = defaults.DebugShell },
		"secret_commands": func() { s.SecretCommands = nil },
	} {
		if value, known := given[name]; known && value == nil {
			restore()
		}
	}
	return nil
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// wrong says what cannot be: artifacts or logs that outlive their runs. 0 is for ever.
func (k Keep) wrong() (wrong []error) {
	for _, part := range []struct {
		name string
		kept time.Duration
	}{{"runs", k.Runs}, {"logs", k.Logs}, {"artifacts", k.Artifacts}} {
		outlives := k.Runs > 0 && (part.kept == 0 || part.kept > k.Runs)
		if part.kept < 0 || outlives {
			wrong = append(wrong, fmt.Errorf("keep.%s: %s; it has to be no longer than keep.runs (%s), where 0s is for ever", part.name, part.kept, k.Runs))
		}
	}
	if k.Deliveries < 0 {
		wrong = append(wrong, fmt.Errorf("keep.deliveries: %s; it has to be 0s, which is for ever, or more", k.Deliveries))
	}
	return wrong
}

// Address is where people reach the server: URL, where the settings name one, else the host of Listen with the port
// that it listens on.
func (s *Server) Address(port int) string {
	if s.URL != "" {
		return s.URL
	}
	host, _, _ := net.SplitHostPort(s.Listen) // Finish has judged it
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// Finish fills in what depends on other settings, and says all that is wrong.
func (s *Server) Finish() error {
	var wrong []error
	_, port, err := net.SplitHostPort(s.Listen)
	if err != nil || port == "" {
		wrong = append(wrong, fmt.Errorf("listen: %q is not host:port", s.Listen))
	}
	if s.URL != "" && !isAddress(s.URL) {
		wrong = append(wrong, fmt.Errorf("url: %q is not the address of a server", s.URL))
	}
	if s.Alerts.Webhook != "" && !isAddress(s.Alerts.Webhook) {
		wrong = append(wrong, fmt.Errorf("alerts.webhook: %q is not the address of a receiver", s.Alerts.Webhook))
	}
	if s.Worker.Slots < 1 {
		wrong = append(wrong, fmt.Errorf("worker.slots: %d; a worker takes at least one step at a time", s.Worker.Slots))
	}
	if err := s.Worker.wrong(); err != nil {
		wrong = append(wrong, fmt.Errorf("worker.%w", err))
	}
	if s.LogLimit < leastLog {
		wrong = append(wrong, fmt.Errorf("log_limit: %s; at least %s of a log are kept", s.LogLimit, leastLog))
	}
	if s.ArtifactLimit < leastArtifact {
		wrong = append(wrong, fmt.Errorf("artifact_limit: %s; an artifact may have at least %s", s.ArtifactLimit, leastArtifact))
	}
	if s.ArtifactFiles < 1 || s.ArtifactFiles > mostFiles {
		wrong = append(wrong, fmt.Errorf("artifact_files: %d; it has to be from 1 to %d", s.ArtifactFiles, mostFiles))
	}
	if s.WaitForWorker < 0 {
		wrong = append(wrong, fmt.Errorf("wait_for_worker: %s; it has to be 0s, which is for ever, or more", s.WaitForWorker))
	}
	if s.CacheLimit < leastCache {
		wrong = append(wrong, fmt.Errorf("cache_limit: %s; a project's cache holds at least %s", s.CacheLimit, leastCache))
	}
	wrong = append(wrong, s.Keep.wrong()...)
	wrong = append(wrong, s.DebugShell.wrong()...)
	wrong = append(wrong, wrongCommands(s.SecretCommands)...)
	if s.Data, err = filepath.Abs(s.Data); err != nil {
		wrong = append(wrong, fmt.Errorf("data: %w", err))
	}
	if err := errors.Join(wrong...); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "%s", err).WithHint("towpath server --help names the settings")
	}
	return nil
}
