//go:build linux

package hosts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
	"github.com/towpath-cd/towpath/internal/target/hosts"
)

// patience is how long something may take on a machine that is busy.
const patience = time.Minute

// The test binary plays the application, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "keeper" {
		os.Exit(keep())
	}
	if len(os.Args) > 2 && os.Args[1] == "app" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[2], http.HandlerFunc(serve())))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve answers what the application found when it began: whatever happens to its files, it runs what it was started from.
func serve() func(http.ResponseWriter, *http.Request) {
	release, _ := os.ReadFile("release")
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/release":
			fmt.Fprint(w, string(release))
		case "/env":
			fmt.Fprint(w, os.Getenv(r.URL.Query().Get("name")))
		}
	}
}

const (
	// startScript keeps one application a slot, as a service manager would.
	startScript = `
[ ! -e "$TOWPATH_PATH/refuse" ] || { echo "no licence for $TOWPATH_RELEASE"; exit 1; }
pid=$TOWPATH_PATH/pid.$PORT
if [ -f "$pid" ]; then
  kill -9 "$(cat "$pid")" 2>/dev/null || true
  while kill -0 "$(cat "$pid")" 2>/dev/null; do sleep 0.02; done
  rm "$pid"
fi
setsid "$APP" app "$(cat "$TOWPATH_PATH/ip"):$PORT" </dev/null >/dev/null 2>&1 &
echo $! >"$pid"
echo "started $TOWPATH_INSTANCE"`
	stopScript = `
pid=$TOWPATH_PATH/pid.$PORT
[ ! -f "$pid" ] || { kill "$(cat "$pid")" 2>/dev/null || true; rm "$pid"; }`
)

// fleet is some hosts with an environment on them.
type fleet struct {
	*testing.T
	*hosts.Driver
	lab        *sshtest.Lab
	hosts      []*sshtest.Host
	definition towpath.EnvironmentDefinition
	path       string
	app        string // the application's program, as the hosts see it
	epoch      towpath.Epoch
	release    towpath.Release
	witness    string            // what single processes hold; every host sees it
	files      map[string]string // of every release, beside the one that has its number
}

// newFleet has so many hosts. The definition is given to change first.
func newFleet(t *testing.T, count int, change ...func(*towpath.HostsTarget)) *fleet {
	t.Helper()
	return newFleetOf(t, count, sshtest.Setting{}, change...)
}

// newFleetOf has hosts that differ from the plain ones.
func newFleetOf(t *testing.T, count int, setting sshtest.Setting, change ...func(*towpath.HostsTarget)) *fleet {
	t.Helper()
	f := &fleet{T: t, lab: sshtest.New(t), epoch: towpath.Epoch{Number: 3, Holder: "worker-1/a"}, files: map[string]string{
		"bin/tool": "x#!/bin/sh", "a name with 'quotes'.txt": "quoted", "deep/er/file": "deep", `back\slash`: "odd",
	}}
	f.path, f.app = filepath.Join(f.lab.Root, "shop"), os.Args[0]
	target := &towpath.HostsTarget{
		Path: f.path, Port: freePort(t), Restart: startScript, Stop: stopScript, Shared: []string{"log", "settings.ini"},
	}
	for range count {
		f.hosts = append(f.hosts, f.lab.Host(setting))
	}
	for _, h := range f.hosts {
		port, _ := strconv.Atoi(h.Port)
		target.Hosts = append(target.Hosts, towpath.Host{Name: h.IP, SSHPort: port, User: setting.Login})
		f.furnish(h)
		if setting.Login != "" {
			f.gives(h)
		}
	}
	for _, c := range change {
		c(target)
	}
	f.definition = towpath.EnvironmentDefinition{
		Name: "production", Target: towpath.TargetDefinition{Hosts: target},
		Health: towpath.HealthDefinition{HTTP: "/", Release: "/release", Interval: 20 * time.Millisecond, Timeout: 5 * time.Second},
	}
	f.of(42)
	f.Driver = f.open()
	return f
}

// furnish tells the application of a host where to listen.
func (f *fleet) furnish(h *sshtest.Host) {
	f.Helper()
	if err := errors.Join(
		os.MkdirAll(filepath.Join(h.Disk(), "shop"), 0o755),
		os.WriteFile(filepath.Join(h.Disk(), "shop", "ip"), []byte(h.IP), 0o644),
	); err != nil {
		f.Fatal(err)
	}
}

// gives lets the login of a host have its folder.
func (f *fleet) gives(h *sshtest.Host) {
	f.Helper()
	f.app = filepath.Join(f.lab.Root, "app") // the test's own may be in a folder of nobody else's
	program, err := os.ReadFile(os.Args[0])
	if err := errors.Join(err, os.WriteFile(filepath.Join(h.Disk(), "app"), program, 0o755)); err != nil {
		f.Fatal(err)
	}
	folder := filepath.Join(h.Disk(), "shop")
	for _, path := range []string{folder, filepath.Join(folder, "ip")} {
		if err := os.Chown(path, sshtest.LoginID, sshtest.LoginID); err != nil {
			f.Fatal(err)
		}
	}
}

// freePort is one that nobody listens on: hosts have addresses of their own.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// of makes another release the one that orders are about.
func (f *fleet) of(release int) {
	f.release = towpath.Release{Number: release, Revision: "abc", Env: map[string]map[string]string{
		"production": {"APP": f.app, "GREETING": "say \"hi\" for $5 `now` \\ 'x'\nthen go", "LOCK": f.witness},
	}}
}

func (f *fleet) open() *hosts.Driver {
	f.Helper()
	me, err := user.Current()
	if err != nil {
		f.Fatal(err)
	}
	driver, err := hosts.New(hosts.Options{
		Environment: "shop/production", Definition: f.definition, Secrets: map[string]string{"TOKEN": "geheimnis$1"},
		DataDir: f.TempDir(), SSH: ssh.Options{Home: f.lab.Home, Login: me.Username, KeepAlive: time.Second},
		Files: layOut(f.files), Logger: slog.New(slog.NewTextHandler(f.Output(), nil)),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := driver.Close(); err != nil {
			f.Error(err)
		}
	})
	return driver
}

// layOut makes a release of these files, and of one that has its number.
func layOut(of map[string]string) deploy.Files {
	return func(_ context.Context, r towpath.Release, folder string) error {
		files := map[string]string{"release": strconv.Itoa(r.Number), "settings.ini": "of release " + strconv.Itoa(r.Number)}
		maps.Copy(files, of)
		for name, content := range files {
			path, mode := filepath.Join(folder, name), os.FileMode(0o644)
			content, isProgram := strings.CutPrefix(content, "x")
			if isProgram {
				mode = 0o755
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode)); err != nil {
				return err
			}
		}
		return os.Symlink("release", filepath.Join(folder, "link"))
	}
}

// ids are the instances of the release, one a slot, in the order of the hosts.
func (f *fleet) ids(serial int) (ids []string, slots map[string]string) {
	slots = make(map[string]string)
	for n, s := range f.definition.Target.Slots() {
		id := towpath.InstanceID(f.release.Number, serial+n)
		ids, slots[id] = append(ids, id), s.Name
	}
	return ids, slots
}

func (f *fleet) do(o deploy.Operation) (deploy.Receipt, error) {
	return f.doBy(f.Driver, f.epoch, o)
}

func (f *fleet) doBy(d *hosts.Driver, epoch towpath.Epoch, o deploy.Operation) (deploy.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.Context()), patience)
	defer cancel()
	seen, err := d.Observe(ctx)
	if err != nil {
		f.Fatal(err)
	}
	return d.Do(ctx, deploy.Order{Epoch: epoch, Operation: o, Release: f.release, Instances: seen.Instances})
}

func (f *fleet) does(o deploy.Operation) deploy.Receipt {
	f.Helper()
	receipt, err := f.do(o)
	if err != nil {
		var permanent *deploy.Permanent
		errors.As(err, &permanent)
		f.Fatalf("%s: %v %+v", o, err, permanent)
	}
	return receipt
}

// fails gives an order that has to fail by an error that tells all the parts.
func (f *fleet) fails(o deploy.Operation, parts ...string) error {
	f.Helper()
	_, err := f.do(o)
	if err == nil {
		f.Fatalf("%s was done", o)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			f.Errorf("%s: %q does not tell %q", o, err, part)
		}
	}
	return err
}

// deploys brings a release up on every host, from a serial on, and answers its instances.
func (f *fleet) deploys(release, serial int) []string {
	f.Helper()
	f.of(release)
	ids, slots := f.ids(serial)
	f.does(deploy.Place{Release: release, Instances: ids, Slots: slots})
	f.does(deploy.Start{Instances: ids})
	f.does(deploy.Probe{Instances: ids, Within: patience})
	return ids
}

func (f *fleet) observes() towpath.Observation {
	f.Helper()
	seen, err := f.Observe(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return seen
}

func (f *fleet) sees(id string) towpath.Instance {
	f.Helper()
	for _, i := range f.observes().Instances {
		if i.ID == id {
			return i
		}
	}
	return towpath.Instance{}
}

// on is a path on a host, below the environment's.
func (f *fleet) on(host int, parts ...string) string {
	return filepath.Join(append([]string{f.hosts[host].Disk(), "shop"}, parts...)...)
}

func (f *fleet) read(host int, parts ...string) string {
	f.Helper()
	content, err := os.ReadFile(f.on(host, parts...))
	if err != nil {
		f.Fatal(err)
	}
	return string(content)
}

// current is the instance that the link of a host leads to; empty where there is none.
func (f *fleet) current(host int) string {
	to, err := os.Readlink(f.on(host, "current"))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// serves answers what the application of a host says.
func (f *fleet) serves(host int, path string) string {
	f.Helper()
	answer, err := http.Get(fmt.Sprintf("http://%s:%d%s", f.hosts[host].IP, f.definition.Target.Hosts.Port, path))
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body := new(strings.Builder)
	if _, err := fmt.Fprint(body, readAll(answer)); err != nil {
		f.Fatal(err)
	}
	return body.String()
}

func readAll(answer *http.Response) string {
	content := make([]byte, 1<<12)
	n, _ := answer.Body.Read(content)
	return string(content[:n])
}

// serveOnly sees that every host runs a release, and that nothing of another one is on its way.
func (f *fleet) serveOnly(release int) {
	f.Helper()
	for n := range f.hosts {
		if said := f.serves(n, "/release"); said != strconv.Itoa(release) {
			f.Errorf("host %d serves %q, not %d", n, said, release)
		}
		if got, _ := towpath.ParseInstanceID(f.current(n)); got != release {
			f.Errorf("the link of host %d leads to %q", n, f.current(n))
		}
		for _, left := range []string{"current.new", "current.back", "env.new", "env.old"} {
			if _, err := os.Lstat(f.on(n, left)); err == nil {
				f.Errorf("host %d still has %s", n, left)
			}
		}
	}
	for _, i := range f.observes().Instances {
		if i.State == towpath.InstanceRunning && i.Release != release {
			f.Errorf("%+v", i)
		}
	}
}

func (f *fleet) until(what string, holds func() bool) {
	f.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			f.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
