package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/process"
)

// lastWords is how long the output of a container that has ended may take to arrive.
const lastWords = time.Minute

// Run runs a script in a new container, which is gone when it returns; see executor.Executor.
func (b boxes) Run(ctx context.Context, script executor.Script) (executor.Result, error) {
	ctx, cancel := executor.Limit(ctx, script.Timeout)
	defer cancel()
	if ctx.Err() != nil {
		return executor.Cut(ctx, script.Timeout), nil
	}
	id, err := b.makeForScript(ctx, script)
	if err != nil {
		return b.failed(ctx, script, err), nil
	}
	under := &running{boxes: b, id: id, script: script, interruption: "TERM", printed: make(chan error, 1)}
	result, err := under.follow(ctx)
	return result, errors.Join(err, under.end())
}

// failed is the result of a script that was not begun, or was ended before.
func (b boxes) failed(ctx context.Context, script executor.Script, err error) executor.Result {
	if ctx.Err() != nil {
		return executor.Cut(ctx, script.Timeout)
	}
	return executor.NotBegun(err)
}

// running is a container with its script.
type running struct {
	boxes
	id           string
	script       executor.Script
	interruption string     // the signal that asks for an end
	printed      chan error // once the last byte was written
}

// follow starts the container and follows it to its end.
func (r *running) follow(ctx context.Context) (executor.Result, error) {
	// The streams live as long as the container does, not as long as ctx.
	streams, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	attached, err := r.client.ContainerAttach(streams, r.id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return r.failed(ctx, r.script, fmt.Errorf("follow the step's container: %w", r.explained(err))), nil
	}
	defer attached.Close()
	go func() { r.printed <- r.copy(attached.Reader) }()
	waiting := r.client.ContainerWait(streams, r.id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if err := r.start(ctx); errors.Is(err, ErrNoDaemon) { // it may have begun
		return executor.Broken(gone(err)), nil
	} else if err != nil {
		return r.failed(ctx, r.script, err), nil
	}
	result, err := r.conclude(ctx, waiting)
	switch {
	case result.Outcome == executor.BrokenOff:
		return result, nil
	case err != nil:
		return result, errors.Join(err, r.outputError(0))
	}
	return result, r.outputError(lastWords)
}

// conclude says how the container ended. The error says that something of it is left.
func (r *running) conclude(ctx context.Context, waiting client.ContainerWaitResult) (executor.Result, error) {
	ended, err := r.await(ctx, waiting)
	switch {
	case err != nil:
		return executor.Broken(err), nil
	case ended == nil:
		return executor.Cut(ctx, r.script.Timeout), process.ErrLeftBehind
	case ctx.Err() != nil:
		return executor.Cut(ctx, r.script.Timeout), nil
	}
	return r.judge(*ended), nil
}

func (r *running) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	if _, err := r.client.ContainerStart(ctx, r.id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start the step's container: %w", r.explained(err))
	}
	return nil
}

// await answers how the container ended, by itself or by its context; nil where the daemon does not get it to end. The
// error says that the daemon is gone.
func (r *running) await(ctx context.Context, waiting client.ContainerWaitResult) (*container.WaitResponse, error) {
	until := ctx.Done()
	for _, next := range []struct {
		do   func()
		then time.Duration
	}{{r.interrupt, r.script.Grace}, {r.kill, 2 * lastWords}, {}} {
		select {
		case ended := <-waiting.Result:
			return &ended, nil
		case err := <-waiting.Error:
			return nil, gone(err)
		case <-until:
		}
		if next.do != nil {
			next.do()
			until = after(next.then)
		}
	}
	return nil, nil
}

func gone(err error) error {
	return fmt.Errorf("the docker daemon went away while the step's container ran: %w", err)
}

// interrupt asks every process of the container to end, as the shell's way does. Where the image has no shell for that,
// only the script's own is asked.
func (r *running) interrupt() {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if r.askAll(ctx) != nil {
		_, _ = r.client.ContainerKill(ctx, r.id, client.ContainerKillOptions{Signal: r.interruption}) // it may have ended
	}
}

// askAll runs inside of the container, where -1 is everything but its init (kill(2)).
func (r *running) askAll(ctx context.Context) error {
	made, err := r.client.ExecCreate(ctx, r.id, client.ExecCreateOptions{User: r.box.User, Cmd: []string{"sh", "-c", "kill -" + r.interruption + " -1"}})
	if err != nil {
		return err
	}
	_, err = r.client.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	return err
}

func (r *running) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	_, _ = r.client.ContainerKill(ctx, r.id, client.ContainerKillOptions{}) // it may have ended
}

// copy writes what the container prints. Output that cannot be written is read on, or the script would wait for it.
func (r *running) copy(from io.Reader) error {
	to := &tolerant{to: r.script.Output}
	_, err := stdcopy.StdCopy(to, to, from)
	return errors.Join(to.err, err)
}

// tolerant forgets what comes after an error.
type tolerant struct {
	to  io.Writer
	err error
}

func (t *tolerant) Write(p []byte) (int, error) {
	if t.err == nil {
		_, t.err = t.to.Write(p)
	}
	return len(p), nil
}

// outputError waits for the last byte, and answers why not all were written.
func (r *running) outputError(limit time.Duration) error {
	select {
	case err := <-r.printed:
		return err
	case <-after(limit):
		return errors.New("the end of the container's output did not come")
	}
}

// judge says how a container ended by itself.
func (r *running) judge(ended container.WaitResponse) executor.Result {
	result := executor.Ended(int(ended.StatusCode), 0)
	if result.Passed() {
		return result
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	found, err := r.client.ContainerInspect(ctx, r.id, client.ContainerInspectOptions{})
	if err == nil && found.Container.State != nil && found.Container.State.OOMKilled {
		result.Reason += "; " + executor.MemoryMet(r.box.Limits.Memory)
	}
	return result
}

// end removes the container.
func (r *running) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	err := r.explained(r.remove(ctx, r.id))
	if err == nil || errors.Is(err, ErrNoDaemon) || errdefs.IsNotFound(err) { // it is cleared later, by its mark
		return nil
	}
	return fmt.Errorf("%w: %w", process.ErrLeftBehind, err)
}

// after is closed when a time has passed.
func after(limit time.Duration) <-chan struct{} {
	passed := make(chan struct{})
	time.AfterFunc(limit, func() { close(passed) })
	return passed
}
