package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// Program is a line for the login shell of a host, with streams of its own, for whatever a person runs there.
type Program struct {
	Line     string
	Mark     string // a line that it prints first; what a login shell may have printed comes before it, and is left out
	Terminal *Size  // nil: it has none
	Resize   <-chan Size
	Stdin    io.Reader // may block; nobody reads it any more once Attend has returned and it has answered
	Stdout   io.Writer // also its errors, at a terminal
	Stderr   io.Writer
}

// Size is that of a terminal, in characters.
type Size struct{ Rows, Columns int }

// Attend runs a program to its end. The status of one that a signal ended is 128 and the signal's number. An error means that
// nobody knows how it ended (ErrLost, or the end of ctx), or that it was not begun (Error).
func (h *Host) Attend(ctx context.Context, p Program) (status int, err error) {
	session, leave, _, err := h.session(ctx)
	if err != nil {
		return -1, err
	}
	defer leave()
	defer session.Close()
	input, err := p.connect(session)
	if err != nil {
		return -1, &Error{Host: h.name, Kind: ErrUnreachable, Err: err}
	}
	if err := session.Start(p.Line); err != nil {
		return -1, &Error{Host: h.name, Kind: ErrUnreachable, Err: fmt.Errorf("start a program: %w", err)}
	}
	go func() {
		_, _ = io.Copy(input, p.Stdin) // a program need not read what it is given
		_ = input.Close()
	}()
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	for {
		select {
		case err := <-ended:
			return statusOf(h.name, err)
		case size := <-p.Resize:
			_ = session.WindowChange(size.Rows, size.Columns) // the program stays usable at the size it has
		case <-ctx.Done():
			return -1, fmt.Errorf("%s: %w", h.name, context.Cause(ctx))
		}
	}
}

// connect gives a session the program's streams.
func (p Program) connect(session *ssh.Session) (io.WriteCloser, error) {
	session.Stdout, session.Stderr = &behind{mark: []byte(p.Mark), out: p.Stdout}, p.Stderr
	if p.Terminal != nil {
		if err := session.RequestPty("xterm-256color", p.Terminal.Rows, p.Terminal.Columns, ssh.TerminalModes{}); err != nil {
			return nil, fmt.Errorf("ask for a terminal: %w", err)
		}
	}
	return session.StdinPipe()
}

func statusOf(host string, err error) (int, error) {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	}
	return -1, fmt.Errorf("%s: %w: %w", host, ErrLost, err)
}

// behind passes on what comes behind the line with the mark.
type behind struct {
	mark []byte
	held []byte
	open bool
	out  io.Writer
}

func (b *behind) Write(p []byte) (int, error) {
	if b.open {
		return b.out.Write(p)
	}
	b.held = append(b.held, p...)
	at := bytes.Index(b.held, b.mark)
	if at < 0 {
		b.held = b.held[max(0, len(b.held)-len(b.mark)):]
		return len(p), nil
	}
	_, rest, isWhole := bytes.Cut(b.held[at:], []byte("\n"))
	if !isWhole {
		return len(p), nil
	}
	b.open, b.held = true, nil
	if len(rest) == 0 {
		return len(p), nil
	}
	_, err := b.out.Write(rest)
	return len(p), err
}
