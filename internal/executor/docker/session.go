package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
)

// noDetachKeys is a sequence that nobody types: no text in UTF-8 has such a byte. Docker's own, control-P and control-Q,
// would hold a control-P back, which shells use.
const noDetachKeys = "\xff,\xff"

// session is a container that is a person's shell, with its terminal.
type session struct {
	*running
	terminal client.HijackedResponse
	cut      context.CancelFunc // ends the streams

	ended  chan struct{} // closed when the following are there
	result executor.Result
	err    error
}

// Open starts a shell in a new container, as executor.Executor says.
func (b boxes) Open(ctx context.Context, script executor.Script) (executor.Session, error) {
	// Bash's lines can be edited.
	shell := command{program: "sh", args: []string{"-c", "if command -v bash >/dev/null; then exec bash -i; fi; exec sh -i"}, terminal: true}
	id, err := b.make(ctx, script, shell)
	if err != nil {
		return nil, err
	}
	s := &session{running: &running{boxes: b, id: id, script: script, interruption: "HUP"}, ended: make(chan struct{})}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(context.Cause(ctx), err, s.end())
	}
	return s, nil
}

// begin starts the container, and has it followed to its end.
func (s *session) begin(ctx context.Context) error {
	streams, cut := context.WithCancel(context.WithoutCancel(ctx))
	attached, err := s.client.ContainerAttach(streams, s.id, client.ContainerAttachOptions{
		Stream: true, Stdin: true, Stdout: true, Stderr: true, DetachKeys: noDetachKeys,
	})
	if err != nil {
		cut()
		return fmt.Errorf("attach to the step's container: %w", s.explained(err))
	}
	s.terminal, s.cut = attached.HijackedResponse, cut
	waiting := s.client.ContainerWait(streams, s.id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	_ = s.Resize(executor.FirstSize)
	go func() {
		defer close(s.ended)
		s.result, s.err = s.conclude(ctx, waiting)
		s.err = errors.Join(s.err, s.end())
	}()
	return nil
}

// Read answers what is printed.
func (s *session) Read(p []byte) (int, error) { return s.terminal.Reader.Read(p) }

// Write types.
func (s *session) Write(p []byte) (int, error) { return s.terminal.Conn.Write(p) }

// Resize says how large the terminal is.
func (s *session) Resize(size executor.Size) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	_, err := s.client.ContainerResize(ctx, s.id, client.ContainerResizeOptions{Height: uint(size.Rows), Width: uint(size.Columns)})
	return err
}

// Wait waits for the shell's end, and for that of its container.
func (s *session) Wait() (executor.Result, error) {
	<-s.ended
	return s.result, s.err
}

// Close gives the terminal back.
func (s *session) Close() error {
	s.terminal.Close()
	s.cut()
	return nil
}
