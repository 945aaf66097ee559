package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/docker"
)

// noNetwork is the network of a step that reaches nothing else.
const noNetwork = "none"

// errNoContainers is why a step inside of a container fails on some workers.
var errNoContainers = errors.New("on Windows steps run in the worker's own shell only; have the step ask for another worker (worker: linux)")

// surroundings are what a script runs in: the way to run it, and what stands beside it.
type surroundings struct {
	way      executor.Executor
	env      map[string]string // what it is told of its services
	beside   *beside           // nil: nothing
	services *services
}

// surround makes what the step's script runs in. Whatever it answers has to be ended.
func (a *attempt) surround(ctx context.Context, home string) (*surroundings, error) {
	s := &surroundings{way: a.own(home)}
	if a.lease.Inside == nil && len(a.lease.Services) == 0 && len(a.lease.SecretFiles) == 0 {
		return s, a.mustHaveNetwork()
	}
	if a.hasContainers() {
		if runtime.GOOS == "windows" {
			return s, errNoContainers
		}
		if err := each(a.dirs.beside, a.clearStanding); err != nil {
			return s, err
		}
	}
	if a.isInCluster(a.lease) {
		return s, a.surroundInCluster(ctx, s, home)
	}
	var err error
	if s.beside, err = a.stand(&beside{Containers: a.hasContainers()}, a.commands()); err != nil {
		return s, err
	}
	if err := a.putSecrets(s.beside.Secrets); err != nil {
		return s, err
	}
	s.way = a.own(home) // which has to see them
	network, err := a.connect(ctx, s.beside)
	if err != nil {
		return s, err
	}
	s.services = &services{attempt: a, way: s.way, network: network, beside: s.beside, home: home}
	if s.env, err = s.services.begin(ctx); err != nil {
		return s, err
	}
	if a.lease.Inside == nil {
		return s, a.mustHaveNetwork()
	}
	s.way, err = a.inside(s.beside, network, home)
	return s, err
}

// end ends what stands beside the script, and tells of what has ended too early.
func (a *attempt) end(s *surroundings) {
	if s.services != nil {
		s.services.end()
	}
	if s.beside != nil {
		a.takeDown(s.beside)
	}
	if a.lease.Inside != nil {
		a.unreserve() // no shell of ours ran
	}
}

// mustHaveNetwork refuses what the worker's own shell cannot do.
func (a *attempt) mustHaveNetwork() error {
	switch {
	case a.lease.Network != noNetwork:
		return nil
	case a.apart.level() != confine.Namespaces:
		return errors.New("this worker cannot take the network from a step of its own shell, which takes --isolation namespaces; run the step inside of a container")
	case len(a.lease.Services) > 0:
		return errors.New("a step of the worker's own shell reaches no service without the network; run the step inside of a container")
	}
	return nil
}

func (a *attempt) hasContainers() bool {
	return a.lease.Inside != nil || a.commands() < len(a.lease.Services)
}

// commands counts the services that are commands of this machine.
func (a *attempt) commands() (n int) {
	for _, s := range a.lease.Services {
		if s.Container == nil {
			n++
		}
	}
	return n
}

// connect makes the step's own network, where it has containers and something else to reach.
func (a *attempt) connect(ctx context.Context, b *beside) (string, error) {
	isAlone := a.lease.Network == noNetwork
	switch {
	case !b.Containers:
		return "", nil
	case isAlone && len(a.lease.Services) == 0:
		return docker.NoNetwork, nil
	}
	engine, err := a.engine()
	if err != nil {
		return "", err
	}
	return engine.Connect(ctx, b.Mark, isAlone)
}

// inside answers the way to run the script in a container, which sees the step's own folders and, to read, the history
// that its git borrows.
func (a *attempt) inside(b *beside, network, home string) (executor.Executor, error) {
	engine, err := a.engine()
	if err != nil {
		return nil, err
	}
	box := docker.Box{
		Image: imageOf(a.lease.Inside), Limits: limitsOf(a.lease.Inside), User: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()),
		Network: network, Mark: b.Mark,
	}
	if a.guest != nil {
		box.User = fmt.Sprintf("%d:%d", a.guest.uid, a.guest.uid)
	}
	if !strings.HasPrefix(home, a.room.scratch+string(filepath.Separator)) {
		box.Folders = append(box.Folders, home)
	}
	if a.room.secrets != "" {
		box.Folders = append(box.Folders, a.room.secrets)
	}
	mirror, err := a.mirrors.of(a.lease.Repository)
	if err != nil {
		return nil, err
	}
	box.ReadOnly = append(box.ReadOnly, filepath.Join(mirror.Dir(), "objects"))
	return engine.In(box), nil
}

func imageOf(c *client.Container) executor.Image {
	return executor.Image{Name: c.Image, Pull: executor.Pull(cmp.Or(c.Pull, string(executor.PullMissing))), Credentials: c.Credentials}
}

func limitsOf(c *client.Container) docker.Limits {
	return docker.Limits{Memory: c.Memory, CPUs: c.CPUs, Processes: int64(c.Processes)}
}

// credentials are the values by which a step's images are fetched, each as a whole and its password.
func credentials(l *client.StepLease) []string {
	var values []string
	add := func(c *client.Container) {
		if c == nil || c.Credentials == "" {
			return
		}
		values = append(values, c.Credentials)
		if _, password, found := strings.Cut(c.Credentials, ":"); found && !strings.HasPrefix(c.Credentials, "{") {
			values = append(values, password)
		}
	}
	add(l.Inside)
	for _, s := range l.Services {
		add(s.Container)
	}
	return values
}
