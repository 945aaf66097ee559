package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Environment is a place where one release of a pipeline is live.
type Environment struct {
	Key         string       `json:"key"` // "pipeline/name"
	Project     string       `json:"project"`
	Pipeline    string       `json:"pipeline"`
	Name        string       `json:"name"`
	URL         string       `json:"url,omitempty"`
	Version     int          `json:"version"` // of its definition
	Strategy    string       `json:"strategy"`
	Live        *Release     `json:"live,omitempty"`
	Goal        *Release     `json:"goal,omitempty"`
	Previous    *Release     `json:"previous,omitempty"`
	Known       []int        `json:"known,omitempty"` // numbers of releases that a rollback can go to, oldest first
	LiveAt      time.Time    `json:"live_at,omitzero"`
	Deployment  *Deployment  `json:"deployment,omitempty"`
	Queue       []Deployment `json:"queue,omitempty"`
	Pin         string       `json:"pin,omitempty"`        // why it is pinned
	Freeze      string       `json:"freeze,omitempty"`     // why it is frozen
	Frozen      *Freeze      `json:"frozen,omitempty"`     // the same for programs
	Policy      *Policy      `json:"policy,omitempty"`     // what the server allows of it; missing where nothing is said
	Opens       time.Time    `json:"opens,omitzero"`       // when what waits for a window may start
	Holder      string       `json:"holder,omitempty"`     // which deployment holds it, since when
	Halted      string       `json:"halted,omitempty"`     // why nothing is done by itself
	Keeper      string       `json:"keeper,omitempty"`     // worker's name
	Unattended  time.Time    `json:"unattended,omitzero"`  // since when it has no keeper
	Doing       string       `json:"doing,omitempty"`      // what the keeper does now, in words
	Instances   []Instance   `json:"instances,omitempty"`  // as last observed
	Processes   []Process    `json:"processes,omitempty"`  // beside the web processes, as last observed
	ObservedAt  time.Time    `json:"observed_at,omitzero"` //
	StandbyTill time.Time    `json:"standby_until,omitzero"`
	RemovedAt   time.Time    `json:"removed_at,omitzero"` // when it was taken down; lists leave it out then
	Health      *Health      `json:"health,omitempty"`    // of what is live; missing where nothing is
	Drift       string       `json:"drift,omitempty"`     // what was changed by hand and is left so
	Left        int          `json:"left,omitempty"`      // operations of the deployment under way that are still to come, as far as can be told
}

// Health is how what should serve fares, as its keeper saw it last.
type Health struct {
	State   string `json:"state"`   // healthy, ailing or unknown
	Passing int    `json:"passing"` // instances that pass their probe
	Wanted  int    `json:"wanted"`
	Problem string `json:"problem,omitempty"` // of one that does not, or why nothing is known
}

// Release is a set of artifacts with their configuration.
type Release struct {
	Number    int        `json:"number"`
	Run       int        `json:"run,omitempty"` // number
	Revision  string     `json:"revision"`
	Title     string     `json:"title"`
	Author    string     `json:"author,omitempty"`
	Artifacts []Artifact `json:"artifacts,omitempty"`
	CreatedAt time.Time  `json:"created_at,omitzero"`
}

// Instance is one running copy of a release.
type Instance struct {
	ID       string `json:"id"`
	Release  int    `json:"release"`
	State    string `json:"state"`
	Address  string `json:"address"`
	Health   string `json:"health"`
	Problem  string `json:"problem,omitempty"`
	Weight   int    `json:"weight"`
	Requests int    `json:"requests"`
	Streams  int    `json:"streams"`
}

// Process runs beside the web process of an instance, or, where it is single, once in the environment.
type Process struct {
	Name     string   `json:"name"`
	Instance string   `json:"instance"` // whose files it runs from
	Release  int      `json:"release"`
	Single   bool     `json:"single,omitempty"`
	State    string   `json:"state"`
	Problem  string   `json:"problem,omitempty"`
	Log      []string `json:"log,omitempty"`    // what it said last, where it does not run
	Silent   string   `json:"silent,omitempty"` // the host that does not answer, where it may run: it is started nowhere else
}

// Deployment is a release's way into an environment.
type Deployment struct {
	ID          string    `json:"id"`
	Environment string    `json:"environment"`
	Release     int       `json:"release"`
	From        int       `json:"from,omitempty"`
	Cause       string    `json:"cause"` // run, manual, rollback or removal
	By          string    `json:"by"`
	Reason      string    `json:"reason,omitempty"`
	State       string    `json:"state"` // waiting, running, returning, live, returned, halted, refused or withdrawn
	Outcome     string    `json:"outcome,omitempty"`
	Place       int       `json:"place,omitempty"` // in the environment's queue, from 1; 0 where it does not wait
	Waits       string    `json:"waits,omitempty"` // why it has not begun, where it waits
	RequestedAt time.Time `json:"requested_at"`
	BeganAt     time.Time `json:"began_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	AllowedBy   string    `json:"allowed_by,omitempty"`  // who let it start outside of a window
	AllowedFor  string    `json:"allowed_for,omitempty"` // the reason
}

// IsFinal says that nothing more will happen to the deployment.
func (d Deployment) IsFinal() bool {
	return d.State != "waiting" && d.State != "running" && d.State != "returning"
}

// Plan is the forecast of what would be done.
type Plan struct {
	Environment string   `json:"environment"`
	Live        int      `json:"live"`
	Goal        int      `json:"goal"`
	Text        string   `json:"text"` // as people read it
	Operations  []string `json:"operations"`
	Downtime    string   `json:"downtime,omitempty"`     // empty is none
	Clients     string   `json:"clients,omitempty"`      // what those see who keep where the environment answers, as with DNS
	Length      string   `json:"length,omitempty"`       // of a rollback: how long it would take, for people
	Seconds     float64  `json:"seconds,omitempty"`      // of a rollback, by what its operations took before; missing where that is not known
	LastSeconds float64  `json:"last_seconds,omitempty"` // of the last rollback there was
}

// Deploy asks for a release by number, or for the one that is live in another environment.
type Deploy struct {
	Release int    `json:"release,omitempty"`
	From    string `json:"from,omitempty"` // name of an environment of the same pipeline, instead of Release
	Reason  string `json:"reason,omitempty"`
}

// Rollback asks to go back.
type Rollback struct {
	To     int    `json:"to,omitempty"` // number of the release; missing: the one before
	Reason string `json:"reason,omitempty"`
}

// Reasoned is an act whose reason is recorded.
type Reasoned struct {
	Reason string `json:"reason,omitempty"`
}

// Environments answers those that the caller may see.
func (c *Client) Environments(ctx context.Context) ([]Environment, error) {
	return get[[]Environment](ctx, c, "/api/v1/environments", nil)
}

// Environment answers one. Its key is "pipeline/name".
func (c *Client) Environment(ctx context.Context, key string) (Environment, error) {
	return get[Environment](ctx, c, environmentPath(key, ""), nil)
}

// Plan answers what deploying a release would do now; 0 is what the environment does for its present goal.
func (c *Client) Plan(ctx context.Context, key string, release int) (Plan, error) {
	query := url.Values{}
	if release > 0 {
		query.Set("release", strconv.Itoa(release))
	}
	return get[Plan](ctx, c, environmentPath(key, "/plan"), query)
}

// PlanOfRemoval shows what RemoveEnvironment would take down.
func (c *Client) PlanOfRemoval(ctx context.Context, key string) (Plan, error) {
	return get[Plan](ctx, c, environmentPath(key, "/plan"), url.Values{"remove": {"true"}})
}

// RemoveEnvironment takes down everything of an environment but its record.
func (c *Client) RemoveEnvironment(ctx context.Context, key, reason string) (Deployment, error) {
	return post[Deployment](ctx, c, environmentPath(key, "/remove"), Reasoned{Reason: reason})
}

// Deploy makes a release the goal.
func (c *Client) Deploy(ctx context.Context, key string, d Deploy) (Deployment, error) {
	return post[Deployment](ctx, c, environmentPath(key, "/deploy"), d)
}

// Rollback goes back: to the live release while another is the goal, else to the one before.
func (c *Client) Rollback(ctx context.Context, key, reason string) (Deployment, error) {
	return c.RollbackTo(ctx, key, Rollback{Reason: reason})
}

// RollbackTo goes back to any release that is still known.
func (c *Client) RollbackTo(ctx context.Context, key string, wish Rollback) (Deployment, error) {
	return post[Deployment](ctx, c, environmentPath(key, "/rollback"), wish)
}

// PlanBack answers what a rollback would do, and how long it would take; 0 is to the release before.
func (c *Client) PlanBack(ctx context.Context, key string, to int) (Plan, error) {
	wanted := "previous"
	if to > 0 {
		wanted = strconv.Itoa(to)
	}
	return get[Plan](ctx, c, environmentPath(key, "/plan"), url.Values{"rollback": {wanted}})
}

// Promotion says what it is that a person lets go on: where anything else is under way by then, it is refused.
type Promotion struct {
	Deployment string `json:"deployment,omitempty"` // ID; empty is whichever is under way
	Step       int    `json:"step,omitempty"`       // of a canary, counted from 1; 0 is whichever is held
}

// Promote lets the traffic move where the strategy waits for a person.
func (c *Client) Promote(ctx context.Context, key string, of Promotion) (Environment, error) {
	return post[Environment](ctx, c, environmentPath(key, "/promote"), of)
}

// Freeze stops deployments until a time, or until Thaw where that is zero. Rollbacks go on.
func (c *Client) Freeze(ctx context.Context, key, reason string, until time.Time) (Environment, error) {
	return post[Environment](ctx, c, environmentPath(key, "/freeze"), NewFreeze{Reason: reason, Until: until})
}

// Thaw ends a freeze of one environment.
func (c *Client) Thaw(ctx context.Context, key string) (Environment, error) {
	return post[Environment](ctx, c, environmentPath(key, "/thaw"), nil)
}

// Unpin lifts the pin that a rollback left.
func (c *Client) Unpin(ctx context.Context, key string) (Environment, error) {
	return post[Environment](ctx, c, environmentPath(key, "/unpin"), nil)
}

// Gone says that a single process does not run any more where it was, though its host does not answer.
type Gone struct {
	Process  string `json:"process"`
	Instance string `json:"instance,omitempty"` // beside which it was: it is refused where that is another by now
}

// Gone lets a single process be started elsewhere. Who says so has seen that it does not run where it was.
func (c *Client) Gone(ctx context.Context, key string, of Gone) (Environment, error) {
	return post[Environment](ctx, c, environmentPath(key, "/gone"), of)
}

// Deployments answers an environment's, newest first, at most 50.
func (c *Client) Deployments(ctx context.Context, key string) ([]Deployment, error) {
	return c.DeploymentPage(ctx, key, Page{})
}

// Page says which part of a list is wanted.
type Page struct {
	Before string // ID of the last of the part before; empty is the first part
	Limit  int    // 50 where it is 0, at most 500
}

// DeploymentPage answers a part of an environment's deployments, newest first.
func (c *Client) DeploymentPage(ctx context.Context, key string, p Page) ([]Deployment, error) {
	return get[[]Deployment](ctx, c, environmentPath(key, "/deployments"), p.query())
}

// Releases answers those of an environment's pipeline, newest first, at most 50.
func (c *Client) Releases(ctx context.Context, key string) ([]Release, error) {
	return get[[]Release](ctx, c, environmentPath(key, "/releases"), nil)
}

// FollowEnvironment calls see with the environment each time it changes, until see answers an error.
func (c *Client) FollowEnvironment(ctx context.Context, key string, see func(Environment) error) error {
	return follow(ctx, c, environmentPath(key, "/events"), see)
}

// environmentPath takes a key, "pipeline/name", which is two parts of the path.
func environmentPath(key, what string) string { return "/api/v1/environments/" + key + what }
