package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath"
)

// Registration is a worker that introduces itself. The token is used up by it.
type Registration struct {
	Token   string   `json:"token"`
	Machine string   `json:"machine"` // kept in the worker's data folder: the same machine stays the same worker
	Name    string   `json:"name"`
	OS      string   `json:"os"`   // GOOS
	Arch    string   `json:"arch"` // GOARCH
	Labels  []string `json:"labels,omitempty"`
	Slots   int      `json:"slots"` // steps at a time
	Version string   `json:"version"`
}

// Registered is the worker's own key, shown with every later call.
type Registered struct {
	Worker string `json:"worker"` // ID
	Key    string `json:"key"`
}

// Hello is what a worker says of itself whenever it starts.
type Hello struct {
	OS      string   `json:"os"`   // GOOS
	Arch    string   `json:"arch"` // GOARCH
	Labels  []string `json:"labels,omitempty"`
	Slots   int      `json:"slots"` // steps at a time
	Version string   `json:"version"`
}

// Welcome is the server's answer to it.
type Welcome struct {
	Version string `json:"version"` // of the server
}

// LeaseCall is a worker's wish for a step.
type LeaseCall struct {
	Version string `json:"version"`
	Call    string `json:"call"` // names the wish
}

// StepLease is an attempt of a step, with all that is needed to run it.
type StepLease struct {
	LeaseRef
	Kind        string            `json:"kind"` // build, test or run
	Project     string            `json:"project"`
	Pipeline    string            `json:"pipeline"`
	RunNumber   int               `json:"run_number"`
	Repository  string            `json:"repository"` // URL; never holds a credential
	Access      *RepositoryAccess `json:"access,omitempty"`
	Revision    string            `json:"revision"`
	Ref         string            `json:"ref,omitempty"` // full name of the reference at which the revision is to be had
	Branch      string            `json:"branch"`
	Author      string            `json:"author"`
	AuthorEmail string            `json:"author_email"`
	Message     string            `json:"message"`
	Trusted     bool              `json:"trusted"`        // of a protected branch
	Fork        bool              `json:"fork,omitempty"` // of a pull request whose author may not push to the repository
	Trigger     string            `json:"trigger,omitempty"`
	Tag         string            `json:"tag,omitempty"`          // its name, where it is one
	PullRequest int               `json:"pull_request,omitempty"` // its number, where it is one
	BaseBranch  string            `json:"base_branch,omitempty"`  // that the pull request goes to
	HeadBranch  string            `json:"head_branch,omitempty"`  // that it comes from, in its own repository
	Inputs      map[string]string `json:"inputs,omitempty"`       // of the run, by name
	Checkout    Checkout          `json:"checkout,omitzero"`
	Script      string            `json:"script"`
	Shell       string            `json:"shell,omitempty"`
	Env         map[string]string `json:"env,omitempty"`     // the file's own
	Outputs     map[string]string `json:"outputs,omitempty"` // TOWPATH_OUT_… of the steps it needs
	Secrets     map[string]string `json:"secrets,omitempty"`
	SecretFiles map[string]string `json:"secret_files,omitempty"` // those that the script sees as files, whose paths are in the variables
	Clean       bool              `json:"clean,omitempty"`
	Environment string            `json:"environment,omitempty"` // nearest deployment before this step
	URL         string            `json:"url,omitempty"`         // of that environment
	Uses        []Artifact        `json:"uses,omitempty"`
	Keeps       []string          `json:"keeps,omitempty"` // paths whose trees are kept
	Caches      []Cache           `json:"caches,omitempty"`
	Reports     *Reports          `json:"reports,omitempty"`
	CacheScope  string            `json:"cache_scope,omitempty"` // that the step writes; empty: it keeps nothing
	Platform    string            `json:"platform,omitempty"`
	Inside      *Container        `json:"inside,omitempty"`   // nil: the worker's own shell
	Services    []Service         `json:"services,omitempty"` // beside the step, in the order in which they are started
	Network     string            `json:"network,omitempty"`  // "none": it reaches nothing but itself and its services
	Debug       *ShellLease       `json:"debug,omitempty"`    // a person has a shell in the place of the script; nil: nobody
	Timeout     float64           `json:"timeout"`            // seconds
	Expires     time.Time         `json:"expires"`
	RenewEvery  float64           `json:"renew_every"`         // seconds
	LogLimit    int64             `json:"log_limit,omitempty"` // bytes that are kept of what the script prints; 0 is the worker's default

	// What the files of an artifact or of a cache's entry may have together, in bytes, and how many they may be; 0 is any amount.
	ArtifactLimit int64 `json:"artifact_limit,omitempty"`
	ArtifactFiles int   `json:"artifact_files,omitempty"`
}

// LogSlack is what a log may have beyond StepLease.LogLimit before the server refuses it, in bytes: the line in which the limit
// is reached, the log's end, and what the worker says itself.
const LogSlack = 4 << 20

// Checkout says what of the repository stands in the workspace besides the revision's own files.
type Checkout struct {
	Submodules bool `json:"submodules,omitempty"`
	LFS        bool `json:"lfs,omitempty"`
	Depth      int  `json:"depth,omitempty"` // commits of history; 0 is all
}

// Container is a container to run in.
type Container struct {
	Image       string  `json:"image"`
	Pull        string  `json:"pull,omitempty"`        // missing, always or never
	Credentials string  `json:"credentials,omitempty"` // for the image's registry: user:password, or docker's JSON. Not for the script
	Memory      int64   `json:"memory,omitempty"`      // bytes; 0 is any amount, also of the next two
	CPUs        float64 `json:"cpus,omitempty"`
	Processes   int     `json:"processes,omitempty"`
}

// Service runs beside a step, in a container or as a command of the worker's machine.
type Service struct {
	Name      string            `json:"name"`
	Container *Container        `json:"container,omitempty"`
	Command   string            `json:"command,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Ports     []int             `json:"ports,omitempty"`
	Ready     Ready             `json:"ready,omitzero"`
	Within    float64           `json:"within"` // seconds in which it has to get ready
}

// Ready is how a service shows that it is; at most one field is set.
type Ready struct {
	TCP     int    `json:"tcp,omitempty"`
	HTTP    string `json:"http,omitempty"` // port and path: "8080/healthz"
	Command string `json:"command,omitempty"`
}

// RepositoryAccess is what a worker shows a repository when it fetches. It is for git alone: the step's script never sees
// it.
type RepositoryAccess struct {
	User       string `json:"user,omitempty"`
	Password   string `json:"password,omitempty"`    // or a token
	Key        string `json:"key,omitempty"`         // SSH private key in OpenSSH's form
	KnownHosts string `json:"known_hosts,omitempty"` // as in known_hosts(5); empty is what the worker's machine knows
}

// LeaseRef names an attempt; every call about it carries it.
type LeaseRef struct {
	Run     string `json:"run"`
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
}

func (l LeaseRef) path(what string) string {
	return fmt.Sprintf("/api/v1/worker/leases/%s/%d/%s", escape(l.Run, l.Step), l.Attempt, what)
}

// Artifact names a tree of files.
type Artifact struct {
	Step     string `json:"step"`
	Digest   string `json:"digest"`
	Path     string `json:"path"`
	Platform string `json:"platform"`
	Files    int    `json:"files"`
	Size     int64  `json:"size"`
}

// Renewal is the server's answer to a renewal.
type Renewal struct {
	Expires time.Time `json:"expires"`
	Stop    bool      `json:"stop"` // the attempt has to end
	Reason  string    `json:"reason,omitempty"`
}

// StepReport is the worker's last word on an attempt.
type StepReport struct {
	State     string            `json:"state"` // passed, failed or canceled
	Reason    string            `json:"reason,omitempty"`
	ExitCode  int               `json:"exit_code"`
	Outputs   map[string]string `json:"outputs,omitempty"`
	Artifacts []Artifact        `json:"artifacts,omitempty"`
	LogSize   int64             `json:"log_size"` // bytes; the log has to be there before the report
}

// LogOffset is how many bytes of a log the server holds durably.
type LogOffset struct {
	Offset int64 `json:"offset"`
}

// Register makes this machine a worker.
func (c *Client) Register(ctx context.Context, r Registration) (Registered, error) {
	return post[Registered](ctx, c, "/api/v1/worker/register", r)
}

// Hello tells the server what this worker is now. Code not_found: the server is older than the call, and knows the worker as
// it registered.
func (c *Client) Hello(ctx context.Context, h Hello) (Welcome, error) {
	return post[Welcome](ctx, c, "/api/v1/worker/hello", h)
}

// Lease waits up to the server's long-poll time (20 s) for a step. It answers nil when there was none. call names this
// wish: where Lease fails, it is asked again under the same name, and answers what the server had leased meanwhile. Each
// other call has another name, also of another process of this worker.
func (c *Client) Lease(ctx context.Context, version, call string) (*StepLease, error) {
	return post[*StepLease](ctx, c, "/api/v1/worker/lease", LeaseCall{Version: version, Call: call})
}

// Renew keeps a lease. Code stale: the attempt is no longer this worker's, and has to end.
func (c *Client) Renew(ctx context.Context, l LeaseRef) (Renewal, error) {
	return post[Renewal](ctx, c, l.path("renew"), nil)
}

// AppendLog adds bytes at an offset. The same bytes at the same offset are taken once; the answer is what the server
// holds, from where to go on.
func (c *Client) AppendLog(ctx context.Context, l LeaseRef, offset int64, body io.Reader) (int64, error) {
	response, err := c.send(ctx, http.MethodPost, l.path(fmt.Sprintf("log?offset=%d", offset)), "text/plain", body)
	if err != nil {
		return 0, err
	}
	out, err := decode[LogOffset](c, response)
	return out.Offset, err
}

// Finish reports the attempt's end. It may be called again with the same report.
func (c *Client) Finish(ctx context.Context, l LeaseRef, r StepReport) error {
	_, err := post[struct{}](ctx, c, l.path("finish"), r)
	return err
}

// KeepRequest says what a worker keeps and knows already, so that the answer holds only what is new.
type KeepRequest struct {
	Holder  string    `json:"holder"` // new each time the worker starts
	Kept    []Keeping `json:"kept,omitempty"`
	Leaving []string  `json:"leaving,omitempty"` // keys of environments that the worker gives back
}

// Keeping is one environment that the worker keeps.
type Keeping struct {
	Environment string        `json:"environment"`       // key
	Serial      int           `json:"serial"`            // of the order it has
	Observed    towpath.Epoch `json:"observed"`          // highest that targets have seen
	Errands     []string      `json:"errands,omitempty"` // IDs of commands of people that the worker has in hand
}

// KeepAnswer is the worker's environments.
type KeepAnswer struct {
	Orders  []KeeperOrder `json:"orders,omitempty"`  // new environments, and those with something new to do
	Lost    []string      `json:"lost,omitempty"`    // keys of environments that the worker keeps no longer
	Errands []ErrandCall  `json:"errands,omitempty"` // commands of people that wait in its environments
	Expires time.Time     `json:"expires"`           // of all its leases
	Now     time.Time     `json:"now,omitzero"`      // server's clock, so that the lease can be told on the worker's
}

// KeeperOrder is all that a keeper needs to know of its environment. Environment and releases travel as the nouns
// themselves: they go on the keeper's disk as they are, and the planner reads them.
type KeeperOrder struct {
	Environment towpath.Environment `json:"environment"`
	Releases    []towpath.Release   `json:"releases"` // goal, live, previous and what may still stand
	Secrets     map[string]string   `json:"secrets,omitempty"`
	Now         time.Time           `json:"now"` // server's clock
}

// KeeperReport is what a keeper saw and did. Exactly one event may be set; the observation may come alone.
type KeeperReport struct {
	Epoch        towpath.Epoch        `json:"epoch"`
	Observation  *towpath.Observation `json:"observation,omitempty"`
	Event        string               `json:"event,omitempty"`         // one that Happened knows
	Deployment   string               `json:"deployment,omitempty"`    // ID
	Returning    bool                 `json:"returning,omitempty"`     // with reached and failed: the goal was to go back
	Reason       string               `json:"reason,omitempty"`        // with failed and hook-ended: why; with reached: what was seen of it
	Hook         string               `json:"hook,omitempty"`          // with hook-begun, hook-ended and hook-lost: which
	Baseline     []towpath.Served     `json:"baseline,omitempty"`      // with watching: what had been answered by then
	Step         int                  `json:"step,omitempty"`          // with step: which of a canary has begun, from 0
	Process      string               `json:"process,omitempty"`       // with single: which process runs beside Instance, in Slot, and nowhere else
	Instance     string               `json:"instance,omitempty"`      // with single: its ID
	Slot         string               `json:"slot,omitempty"`          // with single: where that is, if slots are fixed
	Idle         []string             `json:"idle,omitempty"`          // instances' IDs
	Taking       []int                `json:"taking,omitempty"`        // releases' numbers
	LastInstance int                  `json:"last_instance,omitempty"` // with idle: highest serial of an instance seen
	Back         *towpath.WentBack    `json:"back,omitempty"`          // with went-back: what was done while the server was away
	Doing        string               `json:"doing,omitempty"`         // operation in words, for the page

	Journal []towpath.JournalEntry `json:"journal,omitempty"` // what was done since the last report that was heard; some may come twice
}

// Keep renews the worker's environments, takes those that nobody keeps, and waits up to the server's long-poll time
// (5 s) for something new to do.
func (c *Client) Keep(ctx context.Context, r KeepRequest) (KeepAnswer, error) {
	return post[KeepAnswer](ctx, c, "/api/v1/worker/keep", r)
}

// ReportKept tells what the keeper saw or did, and answers the order as it now is. Code stale: another keeper has the
// environment.
func (c *Client) ReportKept(ctx context.Context, environment string, r KeeperReport) (KeeperOrder, error) {
	return post[KeeperOrder](ctx, c, keptPath(environment, "report"), r)
}

// keptPath takes the environment's key, "pipeline/name", which is two parts of the path.
func keptPath(environment, what string) string {
	return "/api/v1/worker/environments/" + environment + "/" + what
}
