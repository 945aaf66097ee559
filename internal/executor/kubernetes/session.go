package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/towpath-cd/towpath/internal/executor"
)

// session is a pod in which a person has a shell: a command with a terminal, beside a first process that only is there.
type session struct {
	*running
	printed *io.PipeReader
	typed   *io.PipeWriter
	sizes   sizes
	over    chan error // how the shell ended, or why nothing is heard of it any more

	ended  chan struct{} // closed when the following are there
	result executor.Result
	err    error
}

// Open starts a shell in a new pod, as executor.Executor says. A connection to it that breaks is its end.
func (b boxes) Open(ctx context.Context, script executor.Script) (executor.Session, error) {
	under, err := b.begin(ctx, script, []string{"sh", "-c", stayScript})
	if err != nil {
		return nil, err
	}
	if err := under.arrive(ctx); err != nil {
		defer under.cut()
		return nil, errors.Join(err, under.discard(), under.end())
	}
	s := &session{
		running: under, sizes: sizes{wanted: make(chan remotecommand.TerminalSize, 1), done: make(chan struct{})},
		over: make(chan error, 1), ended: make(chan struct{}),
	}
	_ = s.Resize(executor.FirstSize)
	go s.follow(ctx, s.begin())
	return s, nil
}

// begin starts the shell, and answers how to end its streams.
func (s *session) begin() (stop context.CancelFunc) {
	ctx, stop := context.WithCancel(s.life)
	typed, toType := io.Pipe()
	printed, toPrint := io.Pipe()
	s.printed, s.typed = printed, toType
	go func() {
		err := s.exec(ctx, s.pod, stepContainer, streams{in: typed, out: toPrint, sizes: s.sizes},
			"sh", "-c", openScript, "sh", controlFolder, outputFolder, s.script.Dir)
		close(s.sizes.done)
		_, _ = typed.Close(), toPrint.Close()
		s.over <- err
	}()
	return stop
}

// follow waits for the shell's end, and then for that of everything in its pod.
func (s *session) follow(ctx context.Context, stop context.CancelFunc) {
	defer close(s.ended)
	defer s.cut()
	select {
	case err := <-s.over:
		s.result = s.judge(err)
	case <-ctx.Done():
		s.hangUp()
		s.result = executor.Cut(ctx, s.script.Timeout)
	}
	stop()
	s.err = errors.Join(s.discard(), s.end())
}

// hangUp asks every process of the step to end, and gives the shell its grace for that.
func (s *session) hangUp() {
	grace, cancel := context.WithTimeout(s.life, s.script.Grace)
	defer cancel()
	_ = s.exec(grace, s.pod, stepContainer, streams{err: io.Discard}, "sh", "-c", "kill -HUP -1") // it may have ended
	select {
	case <-s.sizes.done: // the shell has ended
	case <-grace.Done():
	}
}

// judge says how the shell ended, where nobody of ours ended it.
func (s *session) judge(err error) executor.Result {
	if pod, gone := s.sight.now(); gone != nil || pod.DeletionTimestamp != nil || pod.Status.Reason != "" {
		if gone == nil {
			gone = whyFailed(pod)
		}
		return executor.Broken(gone)
	}
	var status exec.CodeExitError
	if err == nil || errors.As(err, &status) {
		return executor.Ended(status.Code, 0)
	}
	return executor.Broken(fmt.Errorf("the connection to the pod of the shell broke: %w", err))
}

// Read answers what is printed.
func (s *session) Read(p []byte) (int, error) { return s.printed.Read(p) }

// Write types.
func (s *session) Write(p []byte) (int, error) { return s.typed.Write(p) }

// Resize says how large the terminal is.
func (s *session) Resize(size executor.Size) error {
	s.sizes.want(remotecommand.TerminalSize{Width: size.Columns, Height: size.Rows})
	return nil
}

// Wait waits for the shell's end, and for that of its pod.
func (s *session) Wait() (executor.Result, error) {
	<-s.ended
	return s.result, s.err
}

// Close gives the terminal back.
func (s *session) Close() error { return errors.Join(s.printed.Close(), s.typed.Close()) }

// sizes carries the size that was wanted last to the terminal.
type sizes struct {
	wanted chan remotecommand.TerminalSize
	done   chan struct{}
}

func (s sizes) want(size remotecommand.TerminalSize) {
	select {
	case <-s.wanted: // an earlier one, that nobody has taken
	default:
	}
	select {
	case s.wanted <- size:
	default:
	}
}

// Next waits for the next size; see remotecommand.TerminalSizeQueue.
func (s sizes) Next() *remotecommand.TerminalSize {
	select {
	case size := <-s.wanted:
		return &size
	case <-s.done:
		return nil
	}
}
