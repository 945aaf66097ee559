//go:build linux

package dockertest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// Image is one that every daemon of a test has: a busybox, whose environment has a PATH and IMAGE=busybox, with a user and
// an entry point that no step should notice.
const Image = "towpath-test/busybox:1"

// Daemon is a docker daemon.
type Daemon struct {
	*client.Client
	Host    string // as in DOCKER_HOST
	dir     string
	group   string // parent of the containers' control groups
	command *exec.Cmd
}

// start brings up the daemon.
func start(t *testing.T, p apart.Place) *Daemon {
	t.Helper()
	d := &Daemon{dir: p.Dir, group: p.Group}
	d.Host = "unix://" + filepath.Join(d.dir, "docker.sock")
	var err error
	if d.Client, err = client.New(client.WithHost(d.Host)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", d.Host)
	d.Start(t)
	d.Import(t, Image, nil)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
			t.Logf("the daemon's log ends:\n%s", log[max(0, len(log)-4000):])
		}
		d.Kill(t)
	})
	return d
}

// Start starts the daemon, or starts it again, and waits until it answers.
func (d *Daemon) Start(t *testing.T) {
	t.Helper()
	program, err := apart.LookFor("dockerd")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	_ = os.Remove(filepath.Join(d.dir, "pid")) // that of one that was killed
	d.command = exec.Command(program, "--host", d.Host, "--data-root", filepath.Join(d.dir, "data"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"), "--cgroup-parent", "/"+d.group)
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	apart.Eventually(t, "the docker daemon answers", func() bool {
		_, err := d.Ping(t.Context(), client.PingOptions{})
		return err == nil
	})
}

// Kill ends the daemon at once. Its containers live on, as after a crash, until the test ends.
func (d *Daemon) Kill(t *testing.T) {
	t.Helper()
	if d.command == nil {
		return
	}
	if err := d.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = d.command.Wait() // it was killed
	d.command = nil
	d.reapContainerd()
}

// reapContainerd waits for the daemon's child, which dies with it and is left to us, the first process here: to the next
// daemon one that nobody has waited for seems to live.
func (d *Daemon) reapContainerd() {
	text, err := os.ReadFile(filepath.Join(d.dir, "exec", "containerd", "containerd.pid"))
	if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
}

// Import makes an image of busybox with more files, which are by their path: such an image needs no registry. Changes are
// lines of a Dockerfile.
func (d *Daemon) Import(t *testing.T, name string, files map[string]string, changes ...string) {
	t.Helper()
	changes = append([]string{
		"ENV PATH=/usr/local/bin:/bin", "ENV IMAGE=busybox", "USER nobody", `ENTRYPOINT ["/bin/false"]`, "WORKDIR /", `CMD ["/bin/false"]`,
	}, changes...)
	result, err := d.ImageImport(t.Context(), client.ImageImportSource{Source: apart.Layer(t, files), SourceName: "-"}, name,
		client.ImageImportOptions{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	if said, err := io.ReadAll(result); err != nil || strings.Contains(string(said), `"error"`) {
		t.Fatalf("import %s: %v %s", name, err, said)
	}
}
