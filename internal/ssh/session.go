package ssh

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// maxSaid is how much of a script's standard error is kept, in bytes: its end.
	maxSaid = 32 << 10
	// maxOutput is how much a script of Run may print, in bytes.
	maxOutput = 64 << 20
	// linesAhead is how many lines may wait to be read.
	linesAhead = 256
	// refusedPace is how soon a host that refuses one more session is asked again, and refusedLongest where that ends, after
	// two seconds in all.
	refusedPace    = 10 * time.Millisecond
	refusedLongest = time.Second
)

// boot reads a script from standard input up to a line that is its only argument, says that line, and goes on as that
// script. What a login shell may have printed comes before it. It is one line, in words that every shell takes.
const boot = `exec /bin/sh -c 'n=$(printf "\\nx"); n=${n%x}; p=; while IFS= read -r l; do ` +
	`if [ "$l" = "$0" ]; then echo "$0"; eval "$p"; exit; fi; p="$p$l$n"; done; exit 97' `

// Command is a script for POSIX sh, with what it is to know.
type Command struct {
	Script string
	// Env becomes variables of the script. They are not exported, and are seen by nobody else on the host.
	Env map[string]string
	// Input is what the script reads, for Run; nil is nothing.
	Input io.Reader
}

// Result is how a script ended.
type Result struct {
	Status int    // 0 to 255; -1 where a signal ended it
	Output string // what it printed
	Said   string // the end of its standard error
}

// text is what is sent ahead of a script's own input.
func (c Command) text(mark string) (string, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if !IsVariable(name) || strings.ContainsRune(c.Env[name], 0) {
			return "", fmt.Errorf("%q cannot be a variable of a script", name)
		}
		fmt.Fprintf(&b, "%s=%s\n", name, quote(c.Env[name]))
	}
	b.WriteString(c.Script)
	b.WriteString("\n" + mark + "\n")
	return b.String(), nil
}

// Run runs a script to its end. An error means that nobody knows what it did (ErrLost, or the end of ctx), or that it was
// not begun (Error). A status other than 0 is none.
func (h *Host) Run(ctx context.Context, c Command) (Result, error) {
	s, err := h.Start(ctx, c)
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	if c.Input != nil {
		if _, err := io.Copy(s, c.Input); err != nil && !errors.Is(err, io.EOF) {
			return Result{}, s.explain(ctx, fmt.Errorf("send: %w", err))
		} // EOF: it does not read on, and its status tells why
	}
	if err := s.CloseInput(); err != nil {
		return Result{}, s.explain(ctx, err)
	}
	var output strings.Builder
	for {
		line, err := s.Line(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Result{}, err
		}
		output.WriteString(line + "\n")
	}
	result, err := s.Wait(ctx)
	result.Output = output.String()
	return result, err
}

// Start begins a script with which somebody talks: it reads what is written, and each line that it prints is an answer.
// The session has to be closed.
func (h *Host) Start(ctx context.Context, c Command) (*Session, error) {
	mark := rand.Text()
	text, err := c.text(mark)
	if err != nil {
		return nil, err
	}
	session, leave, conn, err := h.session(ctx)
	if err != nil {
		return nil, err
	}
	s := &Session{
		host: h.name, session: session, leave: leave, connection: conn, mark: mark, lines: make(chan string, linesAhead),
		said: new(tail), ended: make(chan struct{}), gone: make(chan struct{}),
	}
	if err := s.start(boot+mark, text); err != nil {
		return nil, &Error{Host: h.name, Kind: ErrUnreachable, Err: err}
	}
	return s, nil
}

// session opens one. A connection that turns out to be dead before anything has begun is made anew, once. A host that refuses
// one more on a connection may still count those that have just ended, so it is asked again for a while.
func (h *Host) session(ctx context.Context) (*ssh.Session, func(), *connection, error) {
	pace := refusedPace
	for tries := 0; ; {
		c, err := h.connection(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		session, leave, err := c.session(ctx)
		if err == nil {
			return session, leave, c, nil
		}
		_, isRefused := errors.AsType[*ssh.OpenChannelError](err) // one that refuses is alive
		switch {
		case ctx.Err() != nil, !isRefused && tries > 0, isRefused && pace > refusedLongest:
			return nil, nil, nil, &Error{Host: h.name, Kind: ErrUnreachable, Err: err}
		case isRefused:
			wait(ctx, pace)
			pace *= 2
		default:
			tries++
			c.close()
		}
	}
}

// wait ends early with ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Session is a script that runs. One goroutine at a time writes, and one reads.
type Session struct {
	host       string
	session    *ssh.Session
	connection *connection
	leave      func()
	mark       string
	input      io.WriteCloser
	lines      chan string // closed at the end of its output
	said       *tail
	ended      chan struct{} // closed once err is known
	err        error
	gone       chan struct{} // closed when nobody reads any more
	once       sync.Once
}

func (s *Session) start(command, text string) (err error) {
	defer func() {
		if err != nil {
			_ = s.session.Close() // it has not begun
			s.leave()
		}
	}()
	s.session.Stderr = s.said
	output, err := s.session.StdoutPipe()
	if err != nil {
		return err
	}
	if s.input, err = s.session.StdinPipe(); err != nil {
		return err
	}
	if err := s.session.Start(command); err != nil {
		return fmt.Errorf("start a shell: %w", err)
	}
	go s.read(output)
	go func() {
		s.err = s.session.Wait()
		close(s.ended)
		s.leave()
	}()
	_, err = io.WriteString(s.input, text)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// read hands on the lines behind the mark.
func (s *Session) read(output io.Reader) {
	defer close(s.lines)
	lines := bufio.NewReader(io.LimitReader(output, maxOutput))
	isOurs := false
	for {
		line, err := lines.ReadString('\n')
		switch {
		case !isOurs:
			isOurs = strings.TrimSuffix(line, "\n") == s.mark
		case line != "":
			select {
			case s.lines <- strings.TrimSuffix(line, "\n"):
			case <-s.gone: // it is read on, so that the script is not held up
			}
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, output) // what is over the limit holds nobody up either
			return
		}
	}
}

// Write sends the script what it reads.
func (s *Session) Write(p []byte) (int, error) { return s.input.Write(p) }

// Say sends the script a line. That it does not read any more is no error here: its end tells.
func (s *Session) Say(line string) error {
	if _, err := io.WriteString(s.input, line+"\n"); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: %w", s.host, ErrLost, err)
	}
	return nil
}

// CloseInput lets the script find the end of what it reads.
func (s *Session) CloseInput() error {
	if err := s.input.Close(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Line answers the next line that the script prints, and io.EOF at the end of its output.
func (s *Session) Line(ctx context.Context) (string, error) {
	select {
	case line, is := <-s.lines:
		if !is {
			return "", io.EOF
		}
		return line, nil
	case <-ctx.Done():
		return "", s.explain(ctx, context.Cause(ctx))
	}
}

// Wait waits for the script's end. Its output has to be read before.
func (s *Session) Wait(ctx context.Context) (Result, error) {
	select {
	case <-s.ended:
	case <-ctx.Done():
		return Result{}, s.explain(ctx, context.Cause(ctx))
	}
	r := Result{Said: s.said.String()}
	var exit *ssh.ExitError
	switch {
	case s.err == nil:
		return r, nil
	case errors.As(s.err, &exit) && exit.Signal() != "":
		r.Status = -1
		return r, nil
	case errors.As(s.err, &exit):
		r.Status = exit.ExitStatus()
		return r, nil
	}
	return r, s.explain(ctx, s.err)
}

func (s *Session) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", s.host, context.Cause(ctx))
	}
	return fmt.Errorf("%s: %w: %w", s.host, ErrLost, err)
}

// Close ends the session. A script that still runs finds the end of its input, and nobody who reads.
func (s *Session) Close() {
	s.once.Do(func() {
		close(s.gone)
		_ = s.session.Close() // it may have ended already
	})
}

// tail keeps the end of what is written to it.
type tail struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text.Write(p)
	if over := t.text.Len() - maxSaid; over > 0 {
		t.text.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.String()
}
