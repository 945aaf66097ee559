package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/coder/websocket"
)

// maxShellMessage is the size of the largest message of a shell's stream, in bytes.
const maxShellMessage = 128 << 10

// ShellLease is a lease of a step in the place of whose script a person has a shell.
type ShellLease struct {
	By     string  `json:"by"`     // who opened it
	Script string  `json:"script"` // that of the step, for them to run; the lease's own only says that the worker is too old
	Idle   float64 `json:"idle"`   // seconds without anything typed after which it ends
}

// ShellMessage is one message of a shell's stream: what was typed or printed, or one of the others.
type ShellMessage struct {
	Data     []byte     `json:"-"`                  // a binary message; the others are texts, in JSON
	Size     *ShellSize `json:"size,omitempty"`     // of the person's terminal
	Attached *bool      `json:"attached,omitempty"` // from the server, to the worker: whether the person is there
	Ended    *ShellEnd  `json:"ended,omitempty"`    // from the worker; the last

	// Of commands alone.
	Errors    []byte `json:"errors,omitempty"`     // printed on standard error, at most MostErrors
	EndsInput *int64 `json:"ends_input,omitempty"` // from the person: their input is over, and had so many bytes
	Stop      bool   `json:"stop,omitempty"`       // from the person: the command is to end
	Taken     int64  `json:"taken,omitempty"`      // from the worker: so many bytes of the input were read
}

// InputAhead is how much of a command's input may be on its way and not be read yet, in bytes: what says more is not heard.
const InputAhead = 1 << 20

// MostErrors is how much of standard error is in a message at most, in bytes.
const MostErrors = 32 << 10

// ShellSize is the size of a terminal, in characters.
type ShellSize struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// ShellEnd is how a shell ended.
type ShellEnd struct {
	ExitCode int    `json:"exit_code"` // -1 where it did not end by itself
	Reason   string `json:"reason,omitempty"`

	// Of commands alone: how many bytes they printed, so that it is noticed where some were lost with a connection.
	Output int64 `json:"output,omitempty"`
	Errors int64 `json:"errors,omitempty"`
}

// ShellStream is one connection to a shell. One goroutine may read while others write.
type ShellStream struct{ conn *websocket.Conn }

// NewShellStream makes one of a connection that is there.
func NewShellStream(conn *websocket.Conn) *ShellStream {
	conn.SetReadLimit(maxShellMessage)
	return &ShellStream{conn: conn}
}

// Read waits for a message.
func (s *ShellStream) Read(ctx context.Context) (m ShellMessage, err error) {
	kind, data, err := s.conn.Read(ctx)
	switch {
	case err != nil:
		return m, err
	case kind == websocket.MessageBinary:
		m.Data = data
		return m, nil
	}
	return m, json.Unmarshal(data, &m)
}

// Write sends a message.
func (s *ShellStream) Write(ctx context.Context, m ShellMessage) error {
	if m.Data != nil {
		return s.conn.Write(ctx, websocket.MessageBinary, m.Data)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// Ping answers an error where the other side is gone. Somebody has to read meanwhile.
func (s *ShellStream) Ping(ctx context.Context) error { return s.conn.Ping(ctx) }

// Close says good-bye.
func (s *ShellStream) Close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") }

// Cut ends the connection at once.
func (s *ShellStream) Cut() { _ = s.conn.CloseNow() }

func shellPath(pipeline string, number int, step string) string {
	return runPath(pipeline, number) + "/steps/" + escape(step) + "/shell"
}

// OpenShell makes a run that repeats one step of another, with a shell for this caller in the place of its script.
func (c *Client) OpenShell(ctx context.Context, pipeline string, number int, step string) (Run, error) {
	return post[Run](ctx, c, shellPath(pipeline, number, step), nil)
}

// AttachShell connects a person to their shell in a run that OpenShell made. Code conflict: it has ended.
func (c *Client) AttachShell(ctx context.Context, pipeline string, number int, step string) (*ShellStream, error) {
	return c.stream(ctx, shellPath(pipeline, number, step))
}

// ServeShell connects the shell of an attempt that is leased to this worker.
func (c *Client) ServeShell(ctx context.Context, l LeaseRef) (*ShellStream, error) {
	return c.stream(ctx, l.path("shell"))
}

// stream opens a connection for messages both ways (RFC 6455).
func (c *Client) stream(ctx context.Context, path string) (*ShellStream, error) {
	header := http.Header{}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	conn, response, err := websocket.Dial(ctx, c.base+path, &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: header})
	if err == nil {
		return NewShellStream(conn), nil
	}
	if response != nil && response.StatusCode >= http.StatusBadRequest {
		return nil, readError(response)
	}
	return nil, unreachable(c.base, errors.Join(err, context.Cause(ctx)))
}
