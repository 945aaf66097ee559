//go:build unix

package process

import (
	"os"
	"syscall"
	"time"
)

// pipeCapacity bounds what a pipe can still hold: one that was enlarged. Others hold less on every system.
const pipeCapacity = largeBuffer

// rest returns what a pipe holds at this moment, without waiting for more.
func rest(reader *os.File) []byte {
	_ = reader.SetReadDeadline(time.Time{})
	raw, err := reader.SyscallConn()
	if err != nil {
		return nil
	}
	buffer := make([]byte, pipeCapacity)
	filled := 0
	_ = raw.Read(func(fd uintptr) bool {
		for filled < len(buffer) {
			n, err := syscall.Read(int(fd), buffer[filled:])
			if err == syscall.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				break
			}
			filled += n
		}
		return true
	})
	return buffer[:filled]
}
