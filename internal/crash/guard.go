package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// restartPause is how long a program stays dead: an init system waits a moment as well.
const restartPause = 20 * time.Millisecond

// endTime is how long a program may take to end when it is asked to.
const endTime = 30 * time.Second

// guard keeps one program running.
type guard struct {
	name    string
	command func() *exec.Cmd // a new one for each start
	log     string           // file with all that it complained of
	isReady func(line string) bool

	mutex     sync.Mutex
	process   *os.Process     // nil while it does not run
	readySoon []time.Duration // from each start after a death until it was ready
	faults    []string
	deaths    int
	stopping  bool

	ready chan struct{} // one slot: it was ready once more
	ended chan struct{}
}

func startGuard(ctx context.Context, g *guard) error {
	g.ready, g.ended = make(chan struct{}, 1), make(chan struct{})
	go g.keep()
	return g.awaitReady(ctx)
}

// awaitReady waits until the program was ready once since the last wait.
func (g *guard) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	select {
	case <-g.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the %s is not ready: %w\n%s", g.name, context.Cause(ctx), tail(g.log))
	}
}

// keep starts the program again and again.
func (g *guard) keep() {
	defer close(g.ended)
	for n := 0; !g.isStopping(); n++ {
		if n > 0 {
			<-time.After(restartPause)
		}
		if err := g.once(n > 0); err != nil {
			g.note(err.Error())
		}
	}
}

// once runs the program until it ends. One that is killed has ended as it should here; so has one that was asked to.
func (g *guard) once(again bool) error {
	said, says, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the %s: %w", g.name, err)
	}
	defer said.Close()
	command := g.command()
	command.Stdout, command.Stderr = says, says
	began := time.Now()
	begun, err := g.begin(command)
	if closed := says.Close(); err != nil || !begun {
		return errors.Join(err, closed)
	}
	go g.listen(said, began, again)
	err = command.Wait()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.process = nil
	g.deaths++
	return g.judge(err)
}

// begin starts the program, unless it is to stay ended.
func (g *guard) begin(command *exec.Cmd) (begun bool, err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.stopping {
		return false, nil
	}
	if err := command.Start(); err != nil {
		return false, fmt.Errorf("start the %s: %w", g.name, err)
	}
	g.process = command.Process
	return true, nil
}

// listen writes down what the program says, and notes when it was ready.
func (g *guard) listen(said io.Reader, began time.Time, again bool) {
	log, err := os.OpenFile(g.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		g.note(err.Error())
		return
	}
	defer log.Close()
	for lines := bufio.NewScanner(io.TeeReader(said, log)); lines.Scan(); {
		if g.isReady(lines.Text()) {
			g.readyAfter(time.Since(began), again)
		}
	}
}

func (g *guard) readyAfter(took time.Duration, again bool) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if again {
		g.readySoon = append(g.readySoon, took)
	}
	select {
	case g.ready <- struct{}{}:
	default:
	}
}

// judge answers an error where the program ended otherwise than by a kill, or in peace.
func (g *guard) judge(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, is := exit.Sys().(syscall.WaitStatus); is && status.Signaled() && isOurs(status.Signal()) {
		return nil
	}
	return fmt.Errorf("the %s ended by itself (%w):\n%s", g.name, exit, tail(g.log))
}

// isOurs says that it was we who ended it. One that has just started does not hear yet that it is asked to.
func isOurs(s syscall.Signal) bool { return s == syscall.SIGKILL || s == syscall.SIGTERM }

func (g *guard) note(fault string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.faults = append(g.faults, fault)
}

func (g *guard) isStopping() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.stopping
}

// signal sends a signal to the program, if it runs.
func (g *guard) signal(s os.Signal) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.process != nil && g.process.Signal(s) == nil
}

// kill ends the program at once, for good.
func (g *guard) kill() {
	g.mutex.Lock()
	g.stopping = true
	g.mutex.Unlock()
	g.signal(syscall.SIGKILL)
	<-g.ended
}

// stop asks the program to end, for good.
func (g *guard) stop() error {
	if g == nil || g.ended == nil {
		return nil
	}
	g.mutex.Lock()
	g.stopping = true
	g.mutex.Unlock()
	g.signal(syscall.SIGTERM)
	select {
	case <-g.ended:
		return nil
	case <-time.After(endTime):
	}
	g.signal(syscall.SIGQUIT)
	<-g.ended
	return fmt.Errorf("the %s does not end within %s:\n%s", g.name, endTime, tail(g.log))
}

// pid is 0 while the program does not run.
func (g *guard) pid() int {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.process == nil {
		return 0
	}
	return g.process.Pid
}

// tail is the end of a log.
func tail(path string) string {
	const most = 60
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
