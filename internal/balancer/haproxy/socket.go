package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
)

const (
	// answerLimit is how long HAProxy may take to answer.
	answerLimit = 2 * time.Second
	// longestLine is how much is sent at once: HAProxy reads a command line into one buffer (tune.bufsize, 16 KiB).
	longestLine = 8000
)

// socket is where one HAProxy takes orders. Every exchange has a connection of its own: after a reload, one that was kept
// would still lead to the process that is ending.
type socket struct {
	name             string // as the definition has it
	network, address string
}

// parseSocket reads "/path", "unix:///path" or "tcp://host:port".
func parseSocket(name string) (socket, error) {
	if address, is := strings.CutPrefix(name, "tcp://"); is {
		_, _, err := net.SplitHostPort(address)
		return socket{name, "tcp", address}, err
	}
	path := strings.TrimPrefix(name, "unix://")
	if !strings.HasPrefix(path, "/") {
		return socket{}, fmt.Errorf("%q is no socket of HAProxy: write /run/haproxy/admin.sock or tcp://host:port", name)
	}
	return socket{name, "unix", path}, nil
}

// exchange sends commands and answers all that HAProxy says to them, in their order. Where it is an error, some of them
// may have been carried out.
func (s socket) exchange(ctx context.Context, commands ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var said strings.Builder
	for _, line := range lines(commands) {
		if err := s.send(ctx, line, &said); err != nil {
			return said.String(), err
		}
	}
	return said.String(), nil
}

// send has HAProxy carry out one line of commands, after which it closes the connection.
func (s socket) send(ctx context.Context, line string, said io.Writer) error {
	conn, err := new(net.Dialer).DialContext(ctx, s.network, s.address)
	if err != nil {
		return s.unreached(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = io.WriteString(conn, line+"\n"); err == nil {
		_, err = io.Copy(said, conn)
	}
	if err != nil {
		return &deploy.UnknownOutcome{Err: fmt.Errorf("HAProxy at %s broke off: %w", s.name, err)}
	}
	return nil
}

// lines joins commands, so that as few lines as possible are sent.
func lines(commands []string) []string {
	var joined []string
	for _, command := range commands {
		last := len(joined) - 1
		if last >= 0 && len(joined[last])+1+len(command) <= longestLine {
			joined[last] += ";" + command
			continue
		}
		joined = append(joined, command)
	}
	return joined
}

// unreached says what to do where nobody took the call.
func (s socket) unreached(err error) error {
	err = fmt.Errorf("no HAProxy answers at %s: %w", s.name, err)
	switch {
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w (let the keeper's user write to the socket: stats socket %s mode 660 group …)", err, s.address)
	case errors.Is(err, syscall.ENOENT):
		err = fmt.Errorf("%w (haproxy.cfg needs: stats socket %s level admin expose-fd listeners)", err, s.address)
	}
	return &deploy.Retryable{Err: err}
}
