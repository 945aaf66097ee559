package process

import (
	"os/exec"
	"syscall"
	"testing"
)

// The group's list is what the story is told by: the second member is forked after the first was listed and confirmed.
func TestAMemberThatIsForkedWhileItsGroupIsSignalledIsSignalledToo(t *testing.T) {
	var members []*exec.Cmd
	fork := func() {
		member := exec.Command("sleep", "20")
		if err := member.Start(); err != nil {
			t.Fatal(err)
		}
		members = append(members, member)
	}
	fork()
	looks := 0
	list := func() ([]int, error) {
		looks++
		var pids []int
		for _, m := range members {
			pids = append(pids, m.Process.Pid)
		}
		if looks == 2 {
			fork() // behind the back of the look that has just been made
		}
		return pids, nil
	}
	if err := signalMembers(list, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if len(members) != 2 {
		t.Fatalf("%d members after %d looks", len(members), looks)
	}
	for n, m := range members {
		err := m.Wait()
		if status, is := m.ProcessState.Sys().(syscall.WaitStatus); !is || status.Signal() != syscall.SIGTERM {
			t.Errorf("member %d ended with %v", n+1, err)
		}
	}
}
