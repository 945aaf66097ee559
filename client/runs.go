package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Run is a pipeline at one revision.
type Run struct {
	ID         string    `json:"id"`
	Project    string    `json:"project"` // name
	Pipeline   string    `json:"pipeline"`
	Number     int       `json:"number"`
	State      string    `json:"state"` // waiting, running, passed, failed, canceled or superseded
	Reason     string    `json:"reason,omitempty"`
	WaitsFor   int       `json:"waits_for,omitempty"` // number of the run of its line that has to end before
	Branch     string    `json:"branch"`
	Revision   string    `json:"revision"`
	Title      string    `json:"title"` // first line of the commit message
	Author     string    `json:"author"`
	Trigger    string    `json:"trigger"`
	Upstream   string    `json:"upstream,omitempty"` // ID of the run that this one follows
	Inputs     Inputs    `json:"inputs,omitempty"`
	Repeats    int       `json:"repeats,omitempty"` // number of the run that this one repeats
	RepeatedBy string    `json:"repeated_by,omitempty"`
	Shell      string    `json:"shell,omitempty"` // step in the place of whose script RepeatedBy has a debug shell
	Steps      []Step    `json:"steps,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// Inputs are values that a run was started with, by name.
type Inputs map[string]string

// Step is a step of a run.
type Step struct {
	Name       string      `json:"name"`
	Matrix     Inputs      `json:"matrix,omitempty"` // the values of its combination, where it is one of a matrix
	Kind       string      `json:"kind"`             // build, test, run, approve or deploy
	State      string      `json:"state"`            // pending, queued, running, waiting, passed, failed, skipped or canceled
	Reason     string      `json:"reason,omitempty"`
	Needs      []string    `json:"needs,omitempty"`
	From       int         `json:"from,omitempty"` // number of the run in which it ended, where this one took that over
	Attempt    int         `json:"attempt,omitempty"`
	Worker     string      `json:"worker,omitempty"` // name
	ExitCode   int         `json:"exit_code,omitempty"`
	Attempts   []Attempt   `json:"attempts,omitempty"` // all of them, the current one last, where there was more than one
	Artifacts  []Artifact  `json:"artifacts,omitempty"`
	Tests      *TestTotals `json:"tests,omitempty"` // of one run, and not in a list
	Release    int         `json:"release,omitempty"`
	Deployment string      `json:"deployment,omitempty"`
	ReadyAt    time.Time   `json:"ready_at,omitzero"`
	StartedAt  time.Time   `json:"started_at,omitzero"`
	FinishedAt time.Time   `json:"finished_at,omitzero"`
}

// Attempt is one try of a step on one worker.
type Attempt struct {
	Number     int       `json:"number"` // counts from 1
	State      string    `json:"state"`  // queued, running, passed, failed, lost or canceled
	Reason     string    `json:"reason,omitempty"`
	ExitCode   int       `json:"exit_code,omitempty"`
	Worker     string    `json:"worker,omitempty"` // name
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// RunFilter narrows a list of runs; zero values do not.
type RunFilter struct {
	Project, Pipeline, Branch string
	State                     string // one, or several with commas between them
	Before                    int    // number of a run of the one pipeline
	Limit                     int    // 50 where it is 0, at most 500
}

// StartRun asks for a run of a branch's tip or of one revision.
type StartRun struct {
	Branch   string `json:"branch,omitempty"`   // empty is the default branch
	Revision string `json:"revision,omitempty"` // empty is the branch's tip
	Pipeline string `json:"pipeline,omitempty"` // empty is the project's only one
	Inputs   Inputs `json:"inputs,omitempty"`   // where one is left out, its default
	// ScriptsOnly ends the run before its first approval or deployment.
	ScriptsOnly bool `json:"scripts_only,omitempty"`
}

// Rerun says what of a run is run again: all of it where neither failed, step nor from is said, of which one may be.
// What is not run again keeps its results and artifacts; approvals are asked again.
type Rerun struct {
	Failed  bool   `json:"failed,omitempty"`   // what did not pass, and all behind it
	Step    string `json:"step,omitempty"`     // this step alone
	From    string `json:"from,omitempty"`     // this step, and all behind it
	NewPlan bool   `json:"new_plan,omitempty"` // the pipeline file is read again
}

// Runs answers runs, newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"project": f.Project, "pipeline": f.Pipeline, "branch": f.Branch, "state": f.State,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]int{"before": f.Before, "limit": f.Limit} {
		if value > 0 {
			query.Set(name, strconv.Itoa(value))
		}
	}
	return get[[]Run](ctx, c, "/api/v1/runs", query)
}

// Run answers one run of a pipeline.
func (c *Client) Run(ctx context.Context, pipeline string, number int) (Run, error) {
	return get[Run](ctx, c, runPath(pipeline, number), nil)
}

// StartRun starts a run by hand.
func (c *Client) StartRun(ctx context.Context, project string, s StartRun) (Run, error) {
	return post[Run](ctx, c, "/api/v1/projects/"+escape(project, "runs"), s)
}

// CancelRun stops a run. A deployment that is under way goes on to its end.
func (c *Client) CancelRun(ctx context.Context, pipeline string, number int) (Run, error) {
	return post[Run](ctx, c, runPath(pipeline, number)+"/cancel", nil)
}

// RerunRun runs a run again, of the same change, and answers the new one.
func (c *Client) RerunRun(ctx context.Context, pipeline string, number int, r Rerun) (Run, error) {
	return post[Run](ctx, c, runPath(pipeline, number)+"/rerun", r)
}

// FollowRun calls see with the run each time it changes, from now until it has ended or see answers an error.
func (c *Client) FollowRun(ctx context.Context, pipeline string, number int, see func(Run) error) error {
	return follow(ctx, c, runPath(pipeline, number)+"/events", see)
}

// maxEvent is the size of the largest event, in bytes: a run of many steps is one.
const maxEvent = 16 << 20

// follow reads a stream of server-sent events, each a JSON document.
func follow[T any](ctx context.Context, c *Client, path string, see func(T) error) error {
	response, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close() // not drained: it goes on for as long as what is followed
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if err := decodeEvent(data, see); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return unreachable(c.base, err)
	}
	return nil
}

func runPath(pipeline string, number int) string {
	return fmt.Sprintf("/api/v1/pipelines/%s/runs/%d", escape(pipeline), number)
}

func decodeEvent[T any](data string, see func(T) error) error {
	var document T
	if err := json.Unmarshal([]byte(data), &document); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	return see(document)
}
