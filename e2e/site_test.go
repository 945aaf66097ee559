//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// site is one machine with a server, and what a story starts beside it, each a process of its own.
type site struct {
	testing.TB
	api *client.Client // with the owner's token

	root     string
	data     string // of the server
	address  string // of the server
	traffic  string // address of the proxy
	server   *program
	worker   *program
	proxy    *program
	started  []*program
	receives *receiver            // of alerts
	disks    []string             // where disks of their own are mounted
	environ  []string             // what programs get besides what start gives them
	user     *syscall.SysProcAttr // whom they run as; nil is the test's own
}

// newSite makes a site on which nothing runs yet. In the end nothing may run there any more.
func newSite(t testing.TB) *site {
	t.Helper()
	root, err := os.MkdirTemp("", "e2e-")
	if err == nil {
		err = os.Mkdir(filepath.Join(root, "logs"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		TB: t, root: root, data: filepath.Join(root, "server"), address: freeAddress(t), traffic: freeAddress(t),
		receives: newReceiver(t),
	}
	t.Cleanup(s.clear)
	return s
}

// openSite has a server, a worker and a proxy.
func openSite(t testing.TB) *site {
	s := newSite(t)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	return s
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs the binary; whatever it is, it is stopped in the end.
func (s *site) start(name string, args ...string) *program {
	s.Helper()
	p := startWith(s, name, s.root, s.environ, s.user, args...)
	s.started = append(s.started, p)
	return p
}

// startServer returns when it answers.
func (s *site) startServer(flags ...string) {
	s.Helper()
	s.launchServer(flags...).awaits("towpath server: ")
	if s.api == nil {
		s.api = s.as(s.token())
	}
}

// launchServer does not wait until it answers.
func (s *site) launchServer(flags ...string) *program {
	s.Helper()
	s.server = s.start("server", append([]string{
		"server", "--data", s.data, "--listen", s.address, "--proxy-data", s.proxyData(), "--alert-webhook", s.receives.url(),
	}, flags...)...)
	return s.server
}

// token is the owner's.
func (s *site) token() string { return s.line(filepath.Join(s.data, "owner.token")) }

func (s *site) workerKey() string { return s.line(filepath.Join(s.workerData(), "worker.key")) }

// line answers the one line of a file.
func (s *site) line(path string) string {
	s.Helper()
	content, err := os.ReadFile(path)
	s.must(err)
	return strings.TrimSpace(string(content))
}

// as makes a client with a token.
func (s *site) as(token string) *client.Client {
	s.Helper()
	c, err := client.New("http://"+s.address, token)
	s.must(err)
	s.Cleanup(c.Close)
	return c
}

func (s *site) workerData() string { return filepath.Join(s.root, "worker") }
func (s *site) proxyData() string  { return filepath.Join(s.root, "proxy") }

// startWorker registers a worker the first time, and starts the same again later.
func (s *site) startWorker() {
	s.Helper()
	args := []string{
		"worker", "--server", "http://" + s.address, "--data", s.workerData(), "--proxy-data", s.proxyData(),
		"--name", "barge", "--slots", "2",
	}
	if s.worker == nil {
		made, err := s.api.NewWorkerToken(s.Context())
		s.must(err)
		args = append(args, "--token", made.Token)
	}
	s.worker = s.start("worker", args...).awaits("connected to")
}

func (s *site) startProxy() {
	s.Helper()
	s.proxy = s.start("proxy", "proxy", "--data", s.proxyData(), "--listen", s.traffic).awaits("towpath proxy: ")
}

// clear ends what the story started, and sees to it that nothing else is left.
func (s *site) clear() {
	if s.Failed() {
		s.tellLogs()
	}
	s.worker.stop()
	s.server.stop()
	s.stopInstances()
	s.proxy.stop()
	if s.proxy != nil {
		if code, said := start(s, "proxy-stop", s.root, "proxy", "stop", "--data", s.proxyData()).result(); code != 0 {
			s.Errorf("the proxy's holder does not end: %s", said)
		}
	}
	for _, p := range s.started {
		p.stop()
	}
	s.seesNothingLeft()
	for _, disk := range s.disks {
		until(s, "nobody uses "+disk+" any more", func() bool { // a process that has ended is let go of a moment later
			err := syscall.Unmount(disk, 0)
			if err != nil && !errors.Is(err, syscall.EBUSY) {
				s.Errorf("unmount %s: %v", disk, err)
			}
			return !errors.Is(err, syscall.EBUSY)
		})
	}
	if err := os.RemoveAll(s.root); err != nil {
		s.Error(err)
	}
}

// seesNothingLeft fails the story where a process that belongs to the site still runs.
func (s *site) seesNothingLeft() {
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for left := leftIn(s.root); len(left) > 0; left = leftIn(s.root) {
		if time.Now().After(deadline) {
			s.Errorf("left running: %v", left)
			killAll(left)
			return
		}
		<-tick.C
	}
}

// instances lists what is supervised, in every environment.
func (s *site) instances() []supervise.Entry {
	s.Helper()
	var found []supervise.Entry
	for _, data := range []string{s.workerData(), filepath.Join(s.data, "worker")} {
		folders, err := filepath.Glob(filepath.Join(data, "instances", "*", "*", "*"))
		s.must(err)
		folders = slices.DeleteFunc(folders, func(f string) bool {
			return !slices.Contains([]string{"run", "beside", "single"}, filepath.Base(f))
		})
		for _, folder := range folders {
			entries, err := supervise.List(folder)
			s.must(err)
			found = append(found, entries...)
		}
	}
	return found
}

// stopInstances ends what was deployed, under an epoch above every other.
func (s *site) stopInstances() {
	last := supervise.Epoch{Number: 1 << 40, Holder: "clear"}
	orders := supervise.Client{Command: []string{towpath(), "supervise"}}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	for _, e := range s.instances() {
		if _, err := orders.Stop(ctx, e.Dir, last); err != nil && !errors.Is(err, supervise.ErrNoInstance) {
			s.Errorf("stop %s: %v", e.Dir, err)
		}
	}
}

func (s *site) tellLogs() {
	for _, p := range s.started {
		s.Logf("--- %s (%d)\n%s", p.name, p.command.Process.Pid, lastLines(p.said(), 60))
	}
	for _, e := range s.instances() {
		lines, _ := supervise.Tail(e.Dir, 5)
		s.Logf("--- %s %+v\n%s", e.Dir, e.State, strings.Join(lines, "\n"))
	}
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// refuses checks that something is refused with a code and a sentence.
func (s *site) refuses(what func() error, code string) {
	s.Helper()
	var said *client.Error
	if err := what(); !errors.As(err, &said) || said.Code != code || said.Message == "" {
		s.Errorf("answered %#v, not %s", err, code)
	}
}

// holds makes a file for whose end scripts wait, and letsGo removes it.
func (s *site) holds(name string) {
	s.Helper()
	s.must(os.WriteFile(filepath.Join(s.root, name), nil, 0o600))
}

func (s *site) letsGo(name string) {
	s.Helper()
	s.must(os.Remove(filepath.Join(s.root, name)))
}
