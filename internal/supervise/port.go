package supervise

import (
	"errors"
	"fmt"
	"net"

	"github.com/towpath-cd/towpath/internal/process"
)

// errPortHeld means that somebody else listens where the instance should.
var errPortHeld = errors.New("port is not free")

// checkPort tries the address as the instance will. The holder is nil where it cannot be seen.
func checkPort(address string) (*process.Holder, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err == nil {
		return nil, listener.Close()
	}
	holder, unseen := process.PortHolder(address)
	if unseen != nil {
		return nil, fmt.Errorf("%w: %w (%w)", errPortHeld, err, unseen)
	}
	return &holder, fmt.Errorf("%w: %s is held by %s", errPortHeld, address, holder)
}
