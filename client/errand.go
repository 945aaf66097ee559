package client

import (
	"context"
	"net/url"
	"time"

	"github.com/towpath-cd/towpath"
)

// Exec asks for a command to be run in the live release of an environment, once.
type Exec struct {
	Command  []string `json:"command"`            // program and arguments
	Host     string   `json:"host,omitempty"`     // where: on this host,
	Instance string   `json:"instance,omitempty"` // or in this instance; missing: in the first healthy one
	Within   float64  `json:"within,omitempty"`   // seconds after which it is ended; missing: an hour
	Terminal bool     `json:"terminal,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Errand is such a command, and what became of it.
type Errand struct {
	ID          string    `json:"id"`
	Environment string    `json:"environment"`
	Release     int       `json:"release"`
	Instance    string    `json:"instance"`
	Slot        string    `json:"slot,omitempty"`
	Command     []string  `json:"command"` // with secrets masked
	By          string    `json:"by"`
	Reason      string    `json:"reason,omitempty"`
	State       string    `json:"state"` // waiting, running or ended
	ExitCode    int       `json:"exit_code"`
	Outcome     string    `json:"outcome,omitempty"`
	RequestedAt time.Time `json:"requested_at"`
	BeganAt     time.Time `json:"began_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// Exec asks for a command to be run. It begins once its person is there (AttachErrand).
func (c *Client) Exec(ctx context.Context, environment string, e Exec) (Errand, error) {
	return post[Errand](ctx, c, environmentPath(environment, "/exec"), e)
}

// Errands answers the commands that were run in an environment, the newest first.
func (c *Client) Errands(ctx context.Context, environment string) ([]Errand, error) {
	return get[[]Errand](ctx, c, environmentPath(environment, "/exec"), nil)
}

// AttachErrand connects a person to their command. Code conflict: it has ended, as the message says.
func (c *Client) AttachErrand(ctx context.Context, environment, id string) (*ShellStream, error) {
	return c.stream(ctx, environmentPath(environment, "/exec/"+url.PathEscape(id)))
}

// ErrandCall tells a keeper of a command that waits.
type ErrandCall struct {
	Environment string `json:"environment"` // key
	ID          string `json:"id"`
}

// ErrandBegin is a keeper's word that it runs a command now.
type ErrandBegin struct {
	Epoch towpath.Epoch `json:"epoch"`
}

// ErrandOrder is a command as it is to be run.
type ErrandOrder struct {
	Instance string   `json:"instance"` // ID
	Release  int      `json:"release"`  // number
	Command  []string `json:"command"`
	By       string   `json:"by"`
	Within   float64  `json:"within"` // seconds
	Terminal bool     `json:"terminal,omitempty"`
}

// ErrandEnd is how a command ended.
type ErrandEnd struct {
	Epoch    towpath.Epoch `json:"epoch"`
	ExitCode int           `json:"exit_code"` // -1 where it has none
	Outcome  string        `json:"outcome"`
}

// BeginErrand has this worker run a command, and answers it. It may be called again where the answer was lost. Code stale:
// another keeper has the environment; conflict: the command has ended.
func (c *Client) BeginErrand(ctx context.Context, call ErrandCall, b ErrandBegin) (ErrandOrder, error) {
	return post[ErrandOrder](ctx, c, keptPath(call.Environment, "errands/"+url.PathEscape(call.ID)+"/begin"), b)
}

// EndErrand tells how a command ended. It may be told again.
func (c *Client) EndErrand(ctx context.Context, call ErrandCall, e ErrandEnd) error {
	_, err := post[struct{}](ctx, c, keptPath(call.Environment, "errands/"+url.PathEscape(call.ID)+"/end"), e)
	return err
}

// ServeErrand connects a command that this worker runs to its person.
func (c *Client) ServeErrand(ctx context.Context, call ErrandCall) (*ShellStream, error) {
	return c.stream(ctx, keptPath(call.Environment, "errands/"+url.PathEscape(call.ID)))
}
