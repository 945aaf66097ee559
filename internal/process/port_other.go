//go:build !linux

package process

import (
	"net"
	"net/netip"
)

// holderOf can only tell whether somebody listens.
func holderOf(wanted netip.AddrPort) (Holder, error) {
	listener, err := net.Listen("tcp", wanted.String())
	if err != nil {
		return Holder{}, ErrHolderUnknown
	}
	listener.Close()
	return Holder{}, ErrPortFree
}
