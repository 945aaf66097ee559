package process

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Sentinels of PortHolder.
var (
	// ErrPortFree means that nobody listens on an address.
	ErrPortFree = errors.New("port is free")
	// ErrHolderUnknown means that who listens cannot be seen: another user's process, or another platform.
	ErrHolderUnknown = errors.New("holder of the port is unknown")
)

// Holder is a process that listens on a port.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

// String says who holds the port, for people.
func (h Holder) String() string { return fmt.Sprintf("process %d (%s)", h.PID, h.Command) }

// PortHolder finds who listens on a TCP address, such as "127.0.0.1:8000" or ":8000". An empty or unspecified host
// stands for every address, and a listener on every address holds each. The error is ErrPortFree when nobody does.
func PortHolder(address string) (Holder, error) {
	wanted, err := parseAddress(address)
	if err != nil {
		return Holder{}, fmt.Errorf("holder of %s: %w", address, err)
	}
	holder, err := holderOf(wanted)
	if err != nil {
		return Holder{}, fmt.Errorf("holder of %s: %w", address, err)
	}
	return holder, nil
}

func parseAddress(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: %w", port, err)
	}
	switch host {
	case "":
		host = "0.0.0.0"
	case "localhost":
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
