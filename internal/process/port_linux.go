package process

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listening is TCP_LISTEN in the state column of /proc/net/tcp (proc_pid_net(5)).
const listening = "0A"

func holderOf(wanted netip.AddrPort) (Holder, error) {
	inodes, err := listeners(wanted)
	if err != nil {
		return Holder{}, err
	}
	if len(inodes) == 0 {
		return Holder{}, ErrPortFree
	}
	pids, err := processNumbers()
	if err != nil {
		return Holder{}, err
	}
	for _, pid := range pids {
		if holdsSocket(pid, inodes) {
			return Holder{PID: pid, Command: commandOf(pid)}, nil
		}
	}
	return Holder{}, ErrHolderUnknown
}

// listeners returns the inodes of the sockets that listen on an address, as the kernel's links name them.
func listeners(wanted netip.AddrPort) ([]string, error) {
	var links []string
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == listening && isHeldBy(wanted, fields[1]) {
				links = append(links, "socket:["+fields[9]+"]")
			}
		}
	}
	return links, nil
}

func isHeldBy(wanted netip.AddrPort, local string) bool {
	bound, ok := parseKernelAddress(local)
	if !ok || bound.Port() != wanted.Port() {
		return false
	}
	return bound.Addr() == wanted.Addr() || bound.Addr().IsUnspecified() || wanted.Addr().IsUnspecified()
}

// parseKernelAddress reads "0100007F:1F90": words of four bytes in the order of this (little-endian) machine, a port.
func parseKernelAddress(text string) (netip.AddrPort, bool) {
	address, portText, _ := strings.Cut(text, ":")
	bytes, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(bytes, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(bytes)
	port, err := strconv.ParseUint(portText, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), ok && err == nil
}

func holdsSocket(pid int, links []string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false // ended meanwhile, or another user's
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err == nil && slices.Contains(links, target) {
			return true
		}
	}
	return false
}

// commandOf is a process's command line without its line breaks.
func commandOf(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\x00", " ")), " ")
}
