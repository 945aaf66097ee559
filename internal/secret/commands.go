package secret

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/singleflight"

	"github.com/towpath-cd/towpath/internal/process"
)

const (
	// CommandLimit is how long a command may take that has a secret's value.
	CommandLimit = 10 * time.Second
	// commandOutput is the most that it may print, in bytes.
	commandOutput = 64 << 10
	// complaintLimit is the most that is told of why it failed, in bytes.
	complaintLimit = 200
	// sulk is how long a command that failed in the background is left alone.
	sulk = 15 * time.Second
)

// Command is one by which a value of an outside store is read. It runs as the server's user, with the server's variables, and
// never by a shell.
type Command struct {
	Args     []string      // the program first
	Projects []string      // names of those whose secrets may have the value
	Keep     time.Duration // how long the value is used again; 0 asks each time
}

// String is the command for people.
func (c Command) String() string { return strings.Join(c.Args, " ") }

// Commands are those that the server's settings name. They may be used by many goroutines.
type Commands struct {
	known   map[string]Command
	now     func() time.Time
	flights singleflight.Group
	mutex   sync.Mutex
	told    map[string]told // by name
}

// told is what a command said last.
type told struct {
	value string
	err   error
	at    time.Time
}

// NewCommands makes them, by their names.
func NewCommands(known map[string]Command, now func() time.Time) *Commands {
	return &Commands{known: known, now: now, told: map[string]told{}}
}

// For answers the command of a name; false where there is none that the project's secrets may have.
func (c *Commands) For(name, project string) (Command, bool) {
	if c == nil {
		return Command{}, false
	}
	found, is := c.known[name]
	if !slices.Contains(found.Projects, project) {
		return Command{}, false
	}
	return found, is
}

// Fetch answers a command's value, which it waits for. The error names the command, and never says what it printed.
func (c *Commands) Fetch(ctx context.Context, name string) (string, error) {
	if last, is := c.last(name); is && last.err == nil && c.now().Sub(last.at) < c.known[name].Keep {
		return last.value, nil
	}
	select {
	case done := <-c.fly(name, c.known[name].Keep > 0):
		value, _ := done.Val.(string)
		return value, done.Err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Have answers a command's value where it was told in that time, and else has it asked: done is called once it has said
// something. Only then is it worth calling again.
func (c *Commands) Have(name string, within time.Duration, done func()) (value string, found bool, err error) {
	last, is := c.last(name)
	age := c.now().Sub(last.at)
	switch {
	case is && last.err == nil && age < max(within, c.known[name].Keep):
		return last.value, true, nil
	case is && last.err != nil && age < sulk:
		return "", false, last.err
	}
	flight := c.fly(name, true)
	go func() { <-flight; done() }()
	return "", false, nil
}

func (c *Commands) last(name string) (told, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	last, is := c.told[name]
	return last, is
}

// fly runs a command once for all who ask meanwhile.
func (c *Commands) fly(name string, isKept bool) <-chan singleflight.Result {
	return c.flights.DoChan(name, func() (any, error) {
		value, err := c.run(name)
		if isKept {
			c.mutex.Lock()
			c.told[name] = told{value: value, err: err, at: c.now()}
			c.mutex.Unlock()
		}
		return value, err
	})
}

var errCommandTime = errors.New("it took longer than " + CommandLimit.String())

func (c *Commands) run(name string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), CommandLimit, errCommandTime)
	defer cancel()
	var out, complaint capped
	running, err := process.Start(ctx, process.Spec{Args: c.known[name].Args, Stdout: &out, Stderr: &complaint})
	if err != nil {
		return "", fmt.Errorf("command %s: %w", name, err)
	}
	ended, err := running.Wait()
	switch {
	case errors.Is(err, errCommandTime):
		return "", fmt.Errorf("command %s: %w", name, errCommandTime)
	case ended.Signal != 0:
		return "", fmt.Errorf("command %s was ended by signal %d", name, int(ended.Signal))
	case ended.ExitCode != 0:
		return "", fmt.Errorf("command %s exited with status %d: %s", name, ended.ExitCode, firstLine(complaint.String(), out.String()))
	case err != nil:
		return "", fmt.Errorf("command %s: %w", name, err)
	}
	return valueOf(name, out)
}

// valueOf judges what a command printed.
func valueOf(name string, out capped) (string, error) {
	value := WithoutLineEnd(out.String())
	switch {
	case out.over:
		return "", fmt.Errorf("command %s printed more than %d bytes", name, commandOutput)
	case value == "":
		return "", fmt.Errorf("command %s printed nothing", name)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "", fmt.Errorf("command %s printed what is no text", name)
	}
	if err := CheckMaskable(value); err != nil {
		return "", fmt.Errorf("command %s: %w", name, err)
	}
	return value, nil
}

// firstLine is the beginning of a complaint, without what else was printed.
func firstLine(complaint, printed string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	line = strings.ToValidUTF8(NewMasker(printed).Mask(strings.TrimSpace(line)), "\uFFFD")
	if len(line) > complaintLimit {
		line = strings.ToValidUTF8(line[:complaintLimit], "") + "…"
	}
	return cmp.Or(line, "it did not say why")
}

// capped keeps the beginning of what is written.
type capped struct {
	bytes.Buffer
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	room := commandOutput - c.Len()
	c.over = c.over || len(p) > room
	_, _ = c.Buffer.Write(p[:min(len(p), room)])
	return len(p), nil
}

// ReadFrom keeps io.Copy from going round the limit.
func (c *capped) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }

// WithoutLineEnd drops the line's end after a single line, which tools print for people. Several lines are a file, and stay
// as they are: a key without its last line's end is none to OpenSSH.
func WithoutLineEnd(text string) string {
	line := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if strings.Contains(line, "\n") {
		return text
	}
	return line
}
