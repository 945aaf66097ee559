package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// What a supervisor can be asked on its socket: one request a connection, one JSON document each way.
const (
	// askState answers at once.
	askState = "state"
	// askOrder answers once the order is written down.
	askOrder = "order"
	// askStopped answers once nothing runs any more, or once another order says that it should.
	askStopped = "stopped"
)

const (
	// askLimit is how long a supervisor may take to answer what it can answer at once.
	askLimit = 5 * time.Second
	// farewell is how long a supervisor that ends gives its last answers to leave.
	farewell = time.Second
)

// errNoSupervisor means that nobody listens on an instance's socket.
var errNoSupervisor = errors.New("no supervisor")

type request struct {
	Ask   string `json:"ask"`
	Order order  `json:"order,omitzero"`
}

type answer struct {
	State State            `json:"state"`
	Want  Want             `json:"want"`
	Stale *StaleEpochError `json:"stale,omitempty"`
	Error string           `json:"error,omitempty"`
}

// control takes orders on the socket.
type control struct {
	supervisor *supervisor
	listener   net.Listener
	path       string
	ctx        context.Context // of the answers that wait
	cancel     context.CancelFunc
	served     sync.WaitGroup
	once       sync.Once
}

// listen replaces the socket that a killed supervisor left; the lock says that there is no living one.
func listen(s *supervisor) (*control, error) {
	path := filepath.Join(s.dir, socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	address, release, err := socketAddress(s.dir)
	if err != nil {
		return nil, err
	}
	defer release()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	c := &control{supervisor: s, listener: listener, path: path}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.served.Go(c.serve)
	return c, nil
}

func (c *control) serve() {
	for {
		connection, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.supervisor.log.Warn("connection not accepted", "error", err)
			pause(c.ctx, pace)
			continue
		}
		c.served.Go(func() { c.handle(connection) })
	}
}

// close lets the answers that are due leave, then ends. It may be called twice.
func (c *control) close() {
	c.once.Do(func() {
		_ = os.Remove(c.path) // the next supervisor replaces what is left
		_ = c.listener.Close()
		c.cancel()
		c.served.Wait()
	})
}

func (c *control) handle(connection net.Conn) {
	defer connection.Close()
	_ = connection.SetReadDeadline(time.Now().Add(farewell))
	var r request
	if err := json.NewDecoder(connection).Decode(&r); err != nil {
		return
	}
	reply := c.answer(r)
	if reply == nil {
		return // whoever asked sees the end, and asks the next supervisor or does without
	}
	_ = connection.SetWriteDeadline(time.Now().Add(farewell))
	_ = json.NewEncoder(connection).Encode(reply)
}

// answer is nil when we end before there is one.
func (c *control) answer(r request) *answer {
	switch r.Ask {
	case askOrder:
		return c.accept(r.Order)
	case askStopped:
		return c.awaitStopped()
	}
	return c.now()
}

func (c *control) now() *answer {
	last, err := c.supervisor.fence.last()
	if err != nil {
		return &answer{Error: err.Error()}
	}
	state := c.supervisor.current()
	state.Epoch = last.Epoch
	return &answer{State: state, Want: last.Want}
}

func (c *control) accept(given order) *answer {
	ctx, cancel := context.WithTimeout(c.ctx, askLimit)
	defer cancel()
	_, err := c.supervisor.fence.give(ctx, given.Epoch, given.apply)
	var stale *StaleEpochError
	switch {
	case errors.As(err, &stale):
		return &answer{Stale: stale}
	case c.ctx.Err() != nil:
		return nil
	case err != nil:
		return &answer{Error: err.Error()}
	}
	c.supervisor.nudge()
	return c.now()
}

// apply makes the last order this one; what this one leaves empty stays.
func (o order) apply(last *order) error {
	if o.Want != "" {
		last.Want = o.Want
	}
	if o.Restart != "" {
		last.Restart = o.Restart
	}
	return nil
}

func (c *control) awaitStopped() *answer {
	for {
		state, changed := c.supervisor.watch()
		reply := c.now()
		if state.Status == StatusStopped || reply.Want == WantRunning || reply.Error != "" {
			return reply
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return nil
		}
	}
}

// ask sends a request to the supervisor of a folder. The error is errNoSupervisor when there is none.
func ask(ctx context.Context, dir string, r request) (answer, error) {
	address, release, err := socketAddress(dir)
	if err != nil {
		return answer{}, err
	}
	defer release()
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", address)
	if ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoSupervisor, err)
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	reply, err := exchange(connection, r)
	if err != nil && ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	return reply, err
}

func exchange(connection net.Conn, r request) (answer, error) {
	if r.Ask != askStopped {
		_ = connection.SetDeadline(time.Now().Add(askLimit))
	}
	if err := json.NewEncoder(connection).Encode(r); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoSupervisor, err)
	}
	var a answer
	err := json.NewDecoder(connection).Decode(&a)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer{}, fmt.Errorf("supervisor does not answer: %w", err)
	case err != nil: // it ended, or was killed, before it answered
		return answer{}, fmt.Errorf("%w: %w", errNoSupervisor, err)
	case a.Stale != nil:
		return answer{}, a.Stale
	case a.Error != "":
		return answer{}, errors.New(a.Error)
	}
	return a, nil
}
