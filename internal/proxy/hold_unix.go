//go:build unix

package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/towpath-cd/towpath/internal/durable"
)

// Hold binds listening sockets for the proxy and keeps them open, until ctx ends or it is told to stop. It
// never takes a connection: while no proxy runs they wait in the kernel's queue. When another holder already
// serves the folder it returns at once, without error.
func Hold(ctx context.Context, options HoldOptions) error {
	unlock, err := durable.Lock(filepath.Join(options.DataDir, "holder.lock"))
	if errors.Is(err, durable.ErrHeld) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold sockets: %w", err)
	}
	defer unlock()
	listener, err := listenUnix(holdSocket(options.DataDir))
	if err != nil {
		return fmt.Errorf("hold sockets: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	h := &holder{held: make(map[string]*net.TCPListener), stop: cancel, options: options}
	options.Logger.Info("holding sockets", "folder", options.DataDir)
	return h.serve(ctx, listener)
}

type holder struct {
	options HoldOptions
	stop    context.CancelFunc

	mu   sync.Mutex
	held map[string]*net.TCPListener // by the address as it was asked for
}

func (h *holder) serve(ctx context.Context, listener *net.UnixListener) error {
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hold sockets: %w", err)
		}
		go h.answer(conn)
	}
}

func (h *holder) answer(conn *net.UnixConn) {
	defer conn.Close()
	var request holdRequest
	if err := json.NewDecoder(conn).Decode(&request); err != nil {
		return
	}
	listener, err := h.do(request)
	if err != nil {
		h.options.Logger.Warn("request failed", "do", request.Do, "address", request.Address, "error", err)
	}
	if err := send(conn, listener, err); err != nil {
		h.options.Logger.Warn("answer failed", "do", request.Do, "address", request.Address, "error", err)
	}
	if request.Do == holdStop {
		h.stop()
	}
}

func (h *holder) do(request holdRequest) (*net.TCPListener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	listener, isHeld := h.held[request.Address]
	switch {
	case request.Do == holdRelease && isHeld:
		delete(h.held, request.Address)
		return nil, listener.Close()
	case request.Do != holdListen:
		return nil, nil
	case isHeld:
		return listener, nil
	}
	bound, err := plainListen(request.Address)
	if err != nil {
		return nil, err
	}
	h.options.Logger.Info("bound", "address", request.Address)
	listener, _ = bound.(*net.TCPListener)
	h.held[request.Address] = listener
	return listener, nil
}

// send answers, with a copy of the listening socket (unix(7), SCM_RIGHTS).
func send(conn *net.UnixConn, listener *net.TCPListener, failure error) error {
	var answer holdAnswer
	if failure != nil {
		answer.Error = failure.Error()
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if listener == nil || failure != nil {
		_, err = conn.Write(encoded)
		return err
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = conn.WriteMsgUnix(encoded, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sent)
}

// listenUnix binds a socket that only the owner may use. What a process that was killed has left is removed:
// the caller knows that nobody else serves this path.
func listenUnix(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.EINVAL) {
		return nil, fmt.Errorf("%w: the path is too long for a socket (about 100 letters); use a shorter data folder", err)
	}
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(path, 0o600)
}
