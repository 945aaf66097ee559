//go:build linux

// Package apart tells a test's story in namespaces of network, mounts and processes of its own, which nothing else on the
// machine notices and of which nothing stays: they end with the test, whatever ends it.
package apart

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The story's process finds these in its environment.
const (
	inside   = "TOWPATH_APART_INSIDE" // the name of its test
	dirName  = "TOWPATH_APART_DIR"
	cgroupIn = "TOWPATH_APART_GROUP"
)

// startLimit bounds whatever Eventually waits for.
const startLimit = time.Minute

// Place is what a story has to itself.
type Place struct {
	Dir   string // with a short name, as sockets need one
	Group string // control group; below it is for whoever makes some
}

// Inside says that this process is the one that tells the test's story: Run will tell it, and not start another.
func Inside(t *testing.T) bool { return os.Getenv(inside) == t.Name() }

// Run tells a test's story in a process of its own: this test's binary, run again inside of new namespaces. What the story
// listens on, it listens on there. To be called first and last in a test; subtests belong into the story. Programs have to
// be there, each from a package of Debian.
func Run(t *testing.T, programs map[string]string, limit time.Duration, story func(t *testing.T, p Place)) {
	t.Helper()
	if Inside(t) {
		p, err := Enter()
		if err != nil {
			t.Fatal(err)
		}
		story(t, p)
		return
	}
	MustHave(t, programs)
	command := again(t.Context(), t, limit)
	command.Env = append(os.Environ(), inside+"="+t.Name())
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := Call(command); err != nil {
		t.Errorf("%v\n%s", err, said.Bytes())
	} else if testing.Verbose() {
		t.Logf("%s", said.Bytes())
	}
}

// Call runs a program in new namespaces and with a place of its own, until it ends. The program has to call Enter first. It
// is for those who are no tests: those have Run.
func Call(command *exec.Cmd) error {
	p, release, err := claim()
	if err != nil {
		return err
	}
	if command.Env == nil {
		command.Env = os.Environ()
	}
	command.Env = append(command.Env, dirName+"="+p.Dir, cgroupIn+"="+p.Group)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // the signal for a parent's death comes when its thread ends
	defer runtime.UnlockOSThread()
	return errors.Join(command.Run(), p.clear(), release())
}

// Enter makes the namespaces usable that this process was called in, and answers its place.
func Enter() (Place, error) {
	p := Place{Dir: os.Getenv(dirName), Group: os.Getenv(cgroupIn)}
	if p.Dir == "" {
		return p, errors.New("this process was not called into namespaces of its own")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return p, fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return p, fmt.Errorf("see our own processes: %w", err)
	}
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return p, err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return p, fmt.Errorf("have a network of our own: %w: %s", err, out)
	}
	return p, nil
}

// Command runs a program that has to pass, and answers what it printed.
func Command(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	path, err := LookFor(program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// again is this binary with only that test, or those of its subtests that were asked for.
func again(ctx context.Context, t *testing.T, limit time.Duration) *exec.Cmd {
	pattern := "^" + regexp.QuoteMeta(t.Name()) + "$"
	if asked := flag.Lookup("test.run"); asked != nil {
		if _, below, ok := strings.Cut(asked.Value.String(), "/"); ok {
			pattern += "/" + below
		}
	}
	args := []string{"-test.run=" + pattern, "-test.v", "-test.count=1", "-test.timeout=" + limit.String()}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	return exec.CommandContext(ctx, os.Args[0], args...)
}

// MustHave ends a test that is not run as root, or misses programs: it says from which packages of Debian they come.
func MustHave(t *testing.T, programs map[string]string) {
	t.Helper()
	if err := Check(programs); err != nil {
		t.Fatal(err)
	}
}

// Check says what is missing for namespaces and for programs, each of which comes from a package of Debian.
func Check(programs map[string]string) error {
	if os.Getuid() != 0 {
		return errors.New("namespaces of one's own need root: run this as root, or in a virtual machine")
	}
	var missing []string
	for _, program := range slices.Sorted(maps.Keys(programs)) {
		from := programs[program]
		if _, err := LookFor(program); err != nil && !slices.Contains(missing, from) {
			missing = append(missing, from)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("parts are missing: make packages, or apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
	return nil
}

// LookFor finds a program by its name or its path, and knows where administrators' are.
func LookFor(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", program))
}

// Eventually waits until something holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(startLimit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
