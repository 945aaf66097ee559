package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
)

// Hold is not possible here: a listening socket cannot be given to an unrelated process without its number
// being known beforehand. The proxy listens itself, and a restart refuses connections for as long as it takes.
func Hold(context.Context, HoldOptions) error {
	return fmt.Errorf("hold sockets on Windows: %w", ErrNoHolder)
}

// StopHolder has nothing to end.
func StopHolder(context.Context, string) error { return nil }

func (s *sockets) listen(_ context.Context, address string) (net.Listener, error) {
	return plainListen(address)
}

func (s *sockets) release(context.Context, string) error { return nil }

func listenUnix(path string) (net.Listener, error) {
	_ = os.Remove(path)
	return net.Listen("unix", path)
}
