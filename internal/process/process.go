package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ErrNoCommand is returned for a Spec that names nothing to run.
var ErrNoCommand = errors.New("no command")

// Spec says what to start, and how.
type Spec struct {
	// Path is the file to run; when empty it is Args[0], looked up in this process's PATH when it has no slash.
	Path string
	// Args is the command line, the program's name first.
	Args []string
	// Dir is the working directory; empty means this process's own.
	Dir string
	// Env is the whole environment as KEY=value; nil means this process's own.
	Env []string
	// Stdin is the standard input; nil means the null device.
	Stdin *os.File
	// Terminal says that Stdin is a terminal, which controls the process and its descendants. Windows has none.
	Terminal bool
	// Files are handed to the process as its descriptors from 3 up; Windows has no such thing.
	Files []*os.File
	// Namespaces are those of clone(2) that the process begins, on Linux.
	Namespaces uintptr
	// GivesWay says that the process leaves processors to the others of the machine (GiveWay).
	GivesWay bool
	// Stdout and Stderr receive the output; nil means the null device. An *os.File is handed to the process as it
	// is, any other writer is fed through a pipe. When both are the same, writes keep their order.
	Stdout, Stderr io.Writer
	// Grace is how long the process may take to end by itself once the context of Start is done.
	Grace time.Duration
	// Group says how the process and its descendants are held together.
	Group GroupOptions
	// LogFile receives the output of a process of StartDetached, appended; empty means the null device.
	LogFile string
}

// Result is how a process ended.
type Result struct {
	// ExitCode is 0 to 255, or -1 when a signal ended the process or when it was not our child.
	ExitCode int
	// Signal is the signal that ended the process, or 0.
	Signal syscall.Signal
	// CoreDumped says whether the signal left a core file.
	CoreDumped bool
	// UserTime and SystemTime are the CPU time of the process and of the children that it waited for.
	UserTime, SystemTime time.Duration
	// MaxRSS is the greatest resident memory in bytes, 0 where unknown. On Linux it is at least that of the
	// starting process, from which the kernel inherits the mark.
	MaxRSS int64
	// Unknown says that the process was adopted, so that its exit status went to somebody else.
	Unknown bool
}

// leader is the process at the head of a group: one that we started, or one that we adopted.
type leader interface {
	// exited blocks until the process has ended. Where the platform can, it leaves the process unreaped, so that
	// its identifiers cannot be used again while its group is cleared.
	exited()
	// reap collects the exit status.
	reap() (Result, error)
	// kill ends the process at once.
	kill()
}

// Process is a running command with everything that it started.
type Process struct {
	identity  Identity
	leader    leader
	group     group
	outputs   []*output
	interrupt syscall.Signal
	unwatch   func() bool

	hurry     chan struct{}
	hurryOnce sync.Once
	done      chan struct{}

	mutex    sync.Mutex
	stopping bool
	reaped   bool
	cause    error
	result   Result
	err      error
}

// Start starts a command. When ctx is done the process is stopped, with spec.Grace.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Path == "" && len(spec.Args) == 0 {
		return nil, ErrNoCommand
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name(), err)
	}
	p := newProcess(spec.Group)
	if err := p.start(spec); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name(), err)
	}
	p.unwatch = context.AfterFunc(ctx, func() { p.cancel(context.Cause(ctx), spec.Grace) })
	go p.run()
	return p, nil
}

func newProcess(options GroupOptions) *Process {
	return &Process{
		interrupt: options.interrupt(),
		unwatch:   func() bool { return true },
		hurry:     make(chan struct{}),
		done:      make(chan struct{}),
	}
}

// start tries the best group first; where the kernel refuses to start a process in it, the next best.
func (p *Process) start(spec Spec) error {
	g, err := newGroup(spec.Group)
	if err != nil {
		return err
	}
	err = p.startIn(g, spec)
	if err == nil {
		return nil
	}
	_ = g.kill()
	if fallback := g.fallback(); fallback != nil && !errors.Is(err, os.ErrNotExist) {
		return p.startIn(fallback, spec)
	}
	return err
}

func (p *Process) startIn(g group, spec Spec) error {
	cmd := spec.command()
	outputs, err := connect(cmd, spec.Stdout, spec.Stderr)
	if err != nil {
		return err
	}
	if err := launch(cmd, g, spec); err != nil {
		closeAll(outputs)
		return err
	}
	p.group, p.outputs, p.leader = g, outputs, &child{cmd: cmd}
	p.identity = identify(cmd.Process)
	for _, o := range outputs {
		o.start()
	}
	return nil
}

// identify names a process that we started and did not reap. One that has ended already has no start to be read; its
// number alone stands for it.
func identify(process *os.Process) Identity {
	id, err := Of(process.Pid)
	if err != nil {
		return Identity{PID: process.Pid}
	}
	return id
}

func launch(cmd *exec.Cmd, g group, spec Spec) error {
	release, err := g.attach(cmd)
	if err != nil {
		return err
	}
	defer release()
	if spec.Terminal {
		takeTerminal(cmd)
	}
	unshare(cmd, spec.Namespaces)
	if err := cmd.Start(); err != nil {
		return err
	}
	if spec.GivesWay {
		GiveWay(cmd.Process.Pid)
	}
	if err := g.started(cmd.Process); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	return nil
}

func (s Spec) command() *exec.Cmd {
	if s.Path == "" {
		cmd := exec.Command(s.Args[0], s.Args[1:]...)
		cmd.Dir, cmd.Env = s.Dir, s.Env
		return s.withFiles(cmd)
	}
	return s.withFiles(&exec.Cmd{Path: s.Path, Args: s.Args, Dir: s.Dir, Env: s.Env})
}

// withFiles avoids an interface that holds a nil file.
func (s Spec) withFiles(cmd *exec.Cmd) *exec.Cmd {
	cmd.ExtraFiles = s.Files
	if s.Stdin != nil {
		cmd.Stdin = s.Stdin
	}
	return cmd
}

func (s Spec) name() string {
	if s.Path != "" {
		return s.Path
	}
	return s.Args[0]
}

// Identity names the process.
func (p *Process) Identity() Identity { return p.identity }

// Group returns the name of the process's group, for [Adopt] and [KillGroup].
func (p *Process) Group() string { return p.group.handle() }

// Done is closed when Wait would return at once.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait blocks until the process has ended, what it left behind is gone and its output was delivered. An exit status
// other than 0 is not an error. The error is the cause of the context that ended the process, that of a writer that
// failed, or what kept something alive ([ErrLeftBehind]).
func (p *Process) Wait() (Result, error) {
	<-p.done
	return p.result, p.err
}

// run follows the process to its end: it exits, its group is cleared, it is reaped, its last output is delivered.
func (p *Process) run() {
	defer close(p.done)
	p.leader.exited()
	p.awaitGroup()
	killed := p.group.kill()
	result, err := p.reap()
	p.unwatch()
	copied := finish(p.outputs)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.result, p.err = result, errors.Join(p.cause, err, killed, copied)
}

// awaitGroup lets the rest of a group that was told to stop finish as well, until its grace is over.
func (p *Process) awaitGroup() {
	const slice = 50 * time.Millisecond
	for p.isStopping() {
		select {
		case <-p.hurry:
			return
		default:
		}
		if p.group.empty(slice) {
			return
		}
	}
}

func (p *Process) reap() (Result, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.reaped = true
	return p.leader.reap()
}

func (p *Process) isStopping() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.stopping
}

// Stop asks the whole group to end, waits up to grace, then kills what is left of it. It returns when everything is
// gone. With no grace, or when ctx is done, it kills at once. Stopping a process that has ended does nothing.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	asked := grace > 0 && p.ask()
	if asked {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	p.hurryOnce.Do(func() { close(p.hurry) })
	if err := p.finishKill(); err != nil {
		return fmt.Errorf("stop process %d: %w", p.identity.PID, err)
	}
	return nil
}

// finishKill does not wait for ever for a process that the kernel will not let die.
func (p *Process) finishKill() error {
	select {
	case <-p.done:
	default:
		p.leader.kill()
	}
	timer := time.NewTimer(2 * killLimit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		return ErrLeftBehind
	}
	if _, err := p.Wait(); errors.Is(err, ErrLeftBehind) {
		return err
	}
	return nil
}

// ask sends the interrupt, and says whether there was anyone to receive it.
func (p *Process) ask() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.stopping = true
	return !p.reaped && p.group.signal(p.interrupt) == nil
}

func (p *Process) cancel(cause error, grace time.Duration) {
	p.mutex.Lock()
	if !p.reaped {
		p.cause = cause
	}
	p.mutex.Unlock()
	_ = p.Stop(context.Background(), grace) // Wait reports what was left behind
}
