package proxy

import (
	"errors"
	"log/slog"
	"net"
	"path/filepath"
)

// ErrNoHolder is returned where listening sockets cannot be held for another process.
var ErrNoHolder = errors.New("no socket holder")

// HoldOptions say what the holder needs to know.
type HoldOptions struct {
	DataDir string // the proxy's
	Logger  *slog.Logger
}

// What the proxy can ask the holder for, one request a connection.
const (
	holdListen  = "listen"  // a listening socket, bound when it is not yet
	holdRelease = "release" // close it: nobody wants it any more
	holdStop    = "stop"    // close all and end
)

type holdRequest struct {
	Do      string `json:"do"`
	Address string `json:"address,omitempty"`
}

// holdAnswer comes with the socket as ancillary data, when it was asked for.
type holdAnswer struct {
	Error string `json:"error,omitempty"`
}

func holdSocket(folder string) string { return filepath.Join(folder, "holder.sock") }

// sockets is where the proxy gets its listening sockets: from the holder when it was told how to start one,
// else from the system.
type sockets struct {
	folder  string
	command []string
	logger  *slog.Logger
}

func plainListen(address string) (net.Listener, error) { return net.Listen("tcp", address) }
