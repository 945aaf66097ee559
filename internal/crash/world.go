package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// Program is one of those that are kept running.
type Program string

// The programs.
const (
	Server Program = "server"
	Worker Program = "worker" // the keepers are in it
	Proxy  Program = "proxy"
)

// Programs are all of them.
func Programs() []Program { return []Program{Server, Worker, Proxy} }

// Options say what runs, and where.
type Options struct {
	Folder      string   // short, because sockets are made in it
	Towpath     string   // path of the binary
	Application string   // path of what is deployed
	Armed       []string // sides of places at which somebody dies, from the first start on
}

// World is a machine with a server, a worker and a proxy, each of which is started again when it ends.
type World struct {
	Options
	Owner   *client.Client // who may do everything
	Address string         // of the server
	Traffic string         // of the proxy

	guards   map[Program]*guard
	token    string // the owner's
	receiver *receiver
	hub      *hub
}

// Open starts everything.
func Open(ctx context.Context, o Options) (*World, error) {
	w := &World{Options: o, guards: map[Program]*guard{}}
	err := errors.Join(
		os.MkdirAll(w.path("logs"), 0o700), os.MkdirAll(filepath.Join(w.points(), failpoint.Died), 0o700),
		freeAddress(&w.Address), freeAddress(&w.Traffic),
	)
	if err == nil {
		w.receiver, err = newReceiver()
	}
	if err == nil {
		w.hub, err = newHub()
	}
	if err == nil {
		err = w.Arm(o.Armed...)
	}
	for _, start := range []func(context.Context) error{w.startServer, w.startProxy, w.startWorker} {
		if err == nil {
			err = start(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, w.Close(ctx))
	}
	return w, nil
}

// Close ends everything that runs in the world.
func (w *World) Close(ctx context.Context) error {
	errs := []error{w.Disarm()}
	for _, p := range []Program{Worker, Server, Proxy} {
		errs = append(errs, w.guards[p].stop())
	}
	if w.receiver != nil {
		errs = append(errs, w.receiver.close())
	}
	if w.hub != nil {
		errs = append(errs, w.hub.close())
	}
	return errors.Join(append(errs, w.endRest(ctx))...)
}

// endRest kills what outlives the programs on purpose: supervisors with their instances, and the holder of the sockets.
func (w *World) endRest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	return until(ctx, func() bool {
		left := w.processes()
		for _, p := range left {
			_ = kill(p.PID) // it may have ended meanwhile
		}
		return len(left) == 0
	})
}

func (w *World) path(parts ...string) string {
	return filepath.Join(append([]string{w.Folder}, parts...)...)
}

func (w *World) points() string { return w.path("points") }

// command is a verb of the binary, with nothing of our own environment but the path to programs.
func (w *World) command(args ...string) *exec.Cmd {
	command := exec.Command(w.Towpath, args...)
	command.Dir = w.Folder
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.Folder, "XDG_DATA_HOME=" + w.path("share"), failpoint.Variable + "=" + w.points(),
	}
	return command
}

func (w *World) start(ctx context.Context, p Program, ready string, args func() []string) error {
	g := &guard{
		name: string(p), log: w.path("logs", string(p)), command: func() *exec.Cmd { return w.command(args()...) },
		isReady: func(line string) bool { return strings.Contains(line, ready) },
	}
	w.guards[p] = g
	return startGuard(ctx, g)
}

func (w *World) startServer(ctx context.Context) error {
	err := w.start(ctx, Server, "towpath server: ", func() []string {
		return []string{
			"server", "--data", w.path("server"), "--listen", w.Address, "--proxy-data", w.path("proxy"), "--no-worker",
			"--alert-webhook", w.receiver.address(),
		}
	})
	if err != nil {
		return err
	}
	token, err := os.ReadFile(w.path("server", "owner.token"))
	if err != nil {
		return fmt.Errorf("read the owner's token: %w", err)
	}
	w.token = strings.TrimSpace(string(token))
	w.Owner, err = client.New("http://"+w.Address, w.token)
	return err
}

func (w *World) startProxy(ctx context.Context) error {
	return w.start(ctx, Proxy, "towpath proxy: ", func() []string {
		return []string{"proxy", "--data", w.path("proxy"), "--listen", w.Traffic}
	})
}

func (w *World) startWorker(ctx context.Context) error {
	return w.start(ctx, Worker, "connected to", func() []string {
		args := []string{
			"worker", "--server", "http://" + w.Address, "--data", w.path("worker"), "--proxy-data", w.path("proxy"),
			"--name", "barge", "--slots", "4",
		}
		if _, err := os.Stat(w.path("worker", "worker.token")); err != nil {
			args = append(args, "--token", w.workerToken(ctx))
		}
		return args
	})
}

// workerToken is a new one for each start: one by which a worker registered that died at once is worth nothing any more.
func (w *World) workerToken(ctx context.Context) string {
	var made client.Token
	_ = until(ctx, func() bool {
		var err error
		made, err = w.Owner.NewWorkerToken(ctx)
		return err == nil
	})
	return made.Token
}

// Kill ends a program as a crash would; false where it does not run at the moment.
func (w *World) Kill(p Program) bool { return w.guards[p].signal(syscall.SIGKILL) }

// Replace asks a program to end, as an upgrade does; it is started again.
func (w *World) Replace(p Program) bool { return w.guards[p].signal(syscall.SIGTERM) }

// Deaths answers how often a program ended.
func (w *World) Deaths(p Program) int {
	g := w.guards[p]
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.deaths
}

// Ready answers how long each start of a program after its death took until it was ready.
func (w *World) Ready(p Program) []time.Duration {
	g := w.guards[p]
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return append([]time.Duration(nil), g.readySoon...)
}

// Faults are the ends of programs that nobody killed, with the last of their logs.
func (w *World) Faults() []string {
	var faults []string
	for _, g := range w.guards {
		g.mutex.Lock()
		faults = append(faults, g.faults...)
		g.mutex.Unlock()
	}
	return faults
}

// Instances lists the web processes that are supervised, in every environment.
func (w *World) Instances() ([]supervise.Entry, error) { return w.supervised("run") }

// singles lists the single processes that are supervised, in every environment.
func (w *World) singles() ([]supervise.Entry, error) { return w.supervised("single") }

func (w *World) supervised(kind string) ([]supervise.Entry, error) {
	folders, err := filepath.Glob(w.path("worker", "instances", "*", "*", kind))
	if err != nil {
		return nil, err
	}
	var found []supervise.Entry
	for _, folder := range folders {
		entries, err := supervise.List(folder)
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	return found, nil
}

// Arm lets the next process that comes to one of the sides die there; each once.
func (w *World) Arm(sides ...string) error {
	for _, side := range sides {
		if err := os.WriteFile(filepath.Join(w.points(), failpoint.FileOf(side)), nil, 0o600); err != nil {
			return fmt.Errorf("arm a failpoint: %w", err)
		}
	}
	return nil
}

// Armed are the sides at which nobody has died yet, by their files' names.
func (w *World) Armed() ([]string, error) { return filesIn(w.points()) }

// Died are the sides at which a process has died, by their files' names.
func (w *World) Died() ([]string, error) { return filesIn(filepath.Join(w.points(), failpoint.Died)) }

// Disarm lets nobody die any more.
func (w *World) Disarm() error {
	armed, err := w.Armed()
	for _, name := range armed {
		if removed := os.Remove(filepath.Join(w.points(), name)); !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	return err
}

func filesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func freeAddress(address *string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	*address = listener.Addr().String()
	return listener.Close()
}

// until asks again and again, until it is so or ctx ends.
func until(ctx context.Context, is func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
