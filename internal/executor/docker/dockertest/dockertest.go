//go:build linux

// Package dockertest gives a test a docker daemon of its own, which nothing else on the machine notices and of which nothing
// stays: it lives in namespaces of network, mounts and processes that end with the test, whatever ends it.
package dockertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is set to the name of the test that runs inside of the namespaces.
const inside = "TOWPATH_DOCKERTEST_INSIDE"

// programs have to be there, from these packages of Debian.
var programs = map[string]string{
	"dockerd": "docker.io", "containerd": "containerd", "runc": "runc", "iptables": "iptables", "ip": "iproute2",
	"busybox": "busybox-static", "docker-registry": "docker-registry", "docker-proxy": "docker.io",
}

// Run tells a test's story with a daemon, in a process of its own: this test's binary, run again inside of new namespaces.
// What the story listens on, it listens on there. To be called first and last in a test; subtests belong into the story.
func Run(t *testing.T, story func(t *testing.T, d *Daemon)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		story(t, start(t))
		return
	}
	mustHaveParts(t)
	group := fmt.Sprintf("towpath-dockertest-%d-%s", os.Getpid(), regexp.MustCompile(`\W+`).ReplaceAllString(t.Name(), "-"))
	dir, err := os.MkdirTemp("", "towpath-dockertest-") // that of the test may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer clear(t, dir, group)
	command := again(t.Context(), t)
	command.Env = append(os.Environ(), inside+"="+t.Name(), "TOWPATH_DOCKERTEST_DIR="+dir, "TOWPATH_DOCKERTEST_GROUP="+group)
	runtime.LockOSThread() // the signal for a parent's death comes when its thread ends
	defer runtime.UnlockOSThread()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// again is this binary with only that test, or those of its subtests that were asked for.
func again(ctx context.Context, t *testing.T) *exec.Cmd {
	pattern := "^" + regexp.QuoteMeta(t.Name()) + "$"
	if asked := flag.Lookup("test.run"); asked != nil {
		if _, below, ok := strings.Cut(asked.Value.String(), "/"); ok {
			pattern += "/" + below
		}
	}
	args := []string{"-test.run=" + pattern, "-test.v", "-test.count=1", "-test.timeout=5m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	command := exec.CommandContext(ctx, os.Args[0], args...)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	return command
}

func mustHaveParts(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("a docker daemon of one's own needs root: run this test as root, or in a virtual machine")
	}
	var missing []string
	for program, from := range programs {
		if _, err := lookFor(program); err != nil && !slices.Contains(missing, from) {
			missing = append(missing, from)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Fatalf("parts of docker are missing: make packages, or apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
}

// lookFor also knows where administrators' programs are.
func lookFor(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", program))
}

// clear removes what is left on the disk, and the control groups. All processes have ended.
func clear(t *testing.T, dir, group string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + group, "/sys/fs/cgroup/*/" + group} {
		found, _ := filepath.Glob(pattern)
		for _, root := range found {
			removeGroups(t, root)
		}
	}
}

// removeGroups takes a tree of control groups away from its leaves.
func removeGroups(t *testing.T, dir string) {
	t.Helper()
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.IsDir() {
			removeGroups(t, filepath.Join(dir, entry.Name()))
		}
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}
