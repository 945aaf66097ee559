//go:build unix

package proxy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// ownSocket is the path of this process's control socket. Every process has its own for as long as it lives;
// the name that clients know is a link to the owner's.
func ownSocket(folder string) string {
	return filepath.Join(folder, fmt.Sprintf("control-%d.sock", os.Getpid()))
}

// publishSocket lets the known name lead to socket, in one step.
func publishSocket(folder, socket string) error {
	link := filepath.Join(folder, control.SocketName)
	if err := os.Remove(link + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Base(socket), link+".new"); err != nil {
		return err
	}
	place := failpoint.At("publish the control socket")
	place.Before()
	if err := os.Rename(link+".new", link); err != nil {
		return err
	}
	place.After()
	return nil
}

// withdrawSocket takes the known name away, if it still leads to socket.
func withdrawSocket(folder, socket string) {
	link := filepath.Join(folder, control.SocketName)
	if target, err := os.Readlink(link); err == nil && target == filepath.Base(socket) {
		_ = os.Remove(link)
	}
}

// otherSockets are the control sockets that other processes have left or still have, by process number.
func otherSockets(folder string) map[int]string {
	paths, _ := filepath.Glob(filepath.Join(folder, "control-*.sock"))
	others := make(map[int]string)
	for _, path := range paths {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(path), "control-%d.sock", &pid); err == nil && pid != os.Getpid() {
			others[pid] = path
		}
	}
	return others
}
