package worker

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
)

// commandLog is how much is kept of what a command beside a step prints, in bytes.
const commandLog = 64_000

// commandService is a command of this machine, in a process group of its own.
type commandService struct {
	services *services
	cancel   context.CancelCauseFunc
	done     chan struct{} // closed when all of it has ended
	result   executor.Result
	printed  tail
}

func (s *services) startCommand(definition client.Service, group string) (service, error) {
	scratch, err := s.folder(definition.Name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &commandService{services: s, cancel: cancel, done: make(chan struct{})}
	script := executor.Script{
		Text: definition.Command, Shell: s.lease.Shell, Dir: s.room.workspace, Scratch: scratch, Env: s.environment(definition),
		Output: &c.printed, Grace: s.Grace, Group: group,
	}
	go func() {
		defer close(c.done)
		c.result, _ = s.way.Run(ctx, script)
	}()
	return c, nil
}

func (c *commandService) look(ctx context.Context, ready client.Ready) error {
	return lookFromHere(ctx, ready, c)
}

func (c *commandService) address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (c *commandService) variables(ready int) map[string]string {
	told := map[string]string{"HOST": "127.0.0.1"}
	if ready > 0 {
		told["PORT"], told["PORT_"+strconv.Itoa(ready)] = strconv.Itoa(ready), strconv.Itoa(ready)
	}
	return told
}

// try runs a script in a group of its own, which ends with the look.
func (c *commandService) try(ctx context.Context, command string) error {
	s := c.services
	scratch, err := s.folder(readyFolder)
	if err != nil {
		return err
	}
	var said tail
	result, err := s.way.Run(ctx, executor.Script{
		Text: command, Shell: s.lease.Shell, Dir: s.room.workspace, Scratch: scratch, Env: s.variables(s.lease, s.room, s.home, nil),
		Output: &said, Grace: time.Second,
	})
	if err != nil || result.Passed() {
		return err
	}
	return &notReady{reason: result.Reason, said: string(bytes.TrimSpace(said.bytes()))}
}

// notReady is how a command ended that was to show that a service is ready.
type notReady struct{ reason, said string }

func (n *notReady) Error() string {
	if n.said == "" {
		return n.reason
	}
	return n.reason + ": " + excerpt(n.said)
}

func (c *commandService) ended(context.Context) (how string, ended bool) {
	select {
	case <-c.done:
		if c.result.Passed() {
			return "ended", true
		}
		return c.result.Reason, true
	default:
		return "", false
	}
}

func (c *commandService) log(context.Context) []byte { return c.printed.bytes() }

func (c *commandService) stop() {
	c.cancel(errStopService)
	<-c.done
}

// tail keeps the end of what is written. It may be read meanwhile.
type tail struct {
	mutex sync.Mutex
	text  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*commandLog {
		t.text = append(t.text[:0], t.text[len(t.text)-commandLog:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return bytes.Clone(t.text[max(0, len(t.text)-commandLog):])
}
