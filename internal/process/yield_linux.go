package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// niceness is by how much a process that gives way is nicer than it would be: it gets a third of what others get, where there
// is not enough for all (sched(7)).
const niceness = 5

// nicest is the most that there is.
const nicest = 19

// GiveWay has a thread by its number, 0 being the calling one, and whatever it starts from now on leave processors to the
// others of the machine. What cannot be done is left: it is no matter of right or wrong.
func GiveWay(thread int) {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		return
	}
	const highest = 20 // the kernel answers 40 to 1 for -20 to 19
	_ = unix.Setpriority(unix.PRIO_PROCESS, thread, min(highest-now+niceness, nicest))
	name := "self"
	if thread != 0 {
		name = fmt.Sprint(thread)
	}
	// Sessions are groups of their own, among which the niceness of a process says nothing (sched(7), "The autogroup feature").
	_ = os.WriteFile("/proc/"+name+"/autogroup", fmt.Append(nil, niceness), 0)
}
