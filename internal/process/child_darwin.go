package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// awaitExit watches with kqueue, which leaves the process to be reaped.
func awaitExit(process *os.Process) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(queue)
	watch := unix.Kevent_t{Ident: uint64(process.Pid), Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD, Fflags: unix.NOTE_EXIT}
	events := make([]unix.Kevent_t, 1)
	for {
		// ESRCH means that it has ended already.
		n, err := unix.Kevent(queue, []unix.Kevent_t{watch}, events, nil)
		if err != unix.EINTR || n > 0 {
			return
		}
	}
}
