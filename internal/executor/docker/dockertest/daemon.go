//go:build linux

package dockertest

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// Image is one that every daemon of a test has: a busybox, whose environment has a PATH and IMAGE=busybox, with a user and
// an entry point that no step should notice.
const Image = "towpath-test/busybox:1"

// startLimit bounds whatever a test waits for.
const startLimit = time.Minute

// Daemon is a docker daemon.
type Daemon struct {
	*client.Client
	Host    string // as in DOCKER_HOST
	dir     string
	group   string // parent of the containers' control groups
	command *exec.Cmd
}

// start brings up the namespaces and the daemon in them.
func start(t *testing.T) *Daemon {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	ip, err := lookFor("ip")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(ip, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := &Daemon{dir: os.Getenv("TOWPATH_DOCKERTEST_DIR"), group: os.Getenv("TOWPATH_DOCKERTEST_GROUP")}
	d.Host = "unix://" + filepath.Join(d.dir, "docker.sock")
	if d.Client, err = client.New(client.WithHost(d.Host)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", d.Host)
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
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
	program, err := lookFor("dockerd")
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
	eventually(t, "the docker daemon answers", func() bool {
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
	result, err := d.ImageImport(t.Context(), client.ImageImportSource{Source: tree(t, files), SourceName: "-"}, name,
		client.ImageImportOptions{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	if said, err := io.ReadAll(result); err != nil || strings.Contains(string(said), `"error"`) {
		t.Fatalf("import %s: %v %s", name, err, said)
	}
}

// tree is the image's only layer.
func tree(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	program, err := lookFor("busybox")
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	applets, err := exec.Command(program, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	put := func(header tar.Header, content []byte) {
		header.Size = int64(len(content))
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "etc", "root", "usr", "usr/local", "usr/local/bin", "var"} {
		put(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	put(tar.Header{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	put(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, busybox)
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			put(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
		}
	}
	put(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"))
	for name, content := range files {
		put(tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755}, []byte(content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &layer
}

func eventually(t *testing.T, what string, holds func() bool) {
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
