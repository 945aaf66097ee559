//go:build linux

// Package apart tells a test's story in namespaces of network, mounts and processes of its own, which nothing else on the
// machine notices and of which nothing stays: they end with the test, whatever ends it.
package apart

import (
	"context"
	"errors"
	"flag"
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
		enter(t)
		story(t, Place{Dir: os.Getenv(dirName), Group: os.Getenv(cgroupIn)})
		return
	}
	MustHave(t, programs)
	p, release, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(p.clear(), release()); err != nil {
			t.Error(err)
		}
	}()
	command := again(t.Context(), t, limit)
	command.Env = append(os.Environ(), inside+"="+t.Name(), dirName+"="+p.Dir, cgroupIn+"="+p.Group)
	runtime.LockOSThread() // the signal for a parent's death comes when its thread ends
	defer runtime.UnlockOSThread()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// enter makes the namespaces usable.
func enter(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	Command(t, "ip", "link", "set", "lo", "up")
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
	command := exec.CommandContext(ctx, os.Args[0], args...)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	return command
}

// MustHave ends a test that is not run as root, or misses programs: it says from which packages of Debian they come.
func MustHave(t *testing.T, programs map[string]string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("namespaces of one's own need root: run this test as root, or in a virtual machine")
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
		t.Fatalf("parts of this test are missing: make packages, or apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
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
