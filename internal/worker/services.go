package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
)

const (
	// lookEvery is the pause between two looks at whether a service is ready.
	lookEvery = 100 * time.Millisecond
	// lookLimit bounds one look.
	lookLimit = 5 * time.Second
	// tellLimit bounds how long is spent on the log of a service that failed.
	tellLimit = 20 * time.Second
)

// service is one of what runs beside a step.
type service interface {
	// look answers why it is not ready; nil when it is.
	look(ctx context.Context, ready client.Ready) error
	// variables are where the script reaches it: HOST, PORT and the like, without their beginning.
	variables(ready int) map[string]string
	// ended says whether it has ended by itself, and how.
	ended(ctx context.Context) (how string, ended bool)
	// log is the end of what it printed.
	log(ctx context.Context) []byte
	// stop ends it where nobody else does.
	stop()
}

// services run beside a step.
type services struct {
	*attempt
	way     executor.Executor // of those that are commands
	network string            // docker's
	site    *kubernetes.Site  // instead of docker; nil: with docker
	home    string
	beside  *beside
	names   []string
	running []service
	failed  service // of which the log is told already; may be nil
}

// begin starts them in their order, each once the one before is ready, and answers what the script is told of them.
func (s *services) begin(ctx context.Context) (map[string]string, error) {
	told := map[string]string{}
	commands := 0
	for _, definition := range s.lease.Services {
		started, err := s.start(ctx, definition, commands)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", definition.Name, err)
		}
		if definition.Container == nil {
			commands++
		}
		s.names, s.running = append(s.names, definition.Name), append(s.running, started)
		port, _ := portOf(definition.Ready)
		for name, value := range started.variables(port) {
			told["TOWPATH_SERVICE_"+variableName(definition.Name)+"_"+name] = value
		}
		if err := s.await(ctx, definition, started); err != nil {
			s.tell(definition.Name, started)
			s.failed = started
			return nil, fmt.Errorf("service %s: %w", definition.Name, err)
		}
	}
	return told, nil
}

func (s *services) start(ctx context.Context, definition client.Service, number int) (service, error) {
	if definition.Container == nil {
		return s.startCommand(definition, s.beside.Groups[number])
	}
	if s.site != nil {
		return s.startPod(ctx, definition)
	}
	return s.startContainer(ctx, definition)
}

// await waits until a service is ready. The error says why it is not: it has ended, or took too long, or the step ended.
func (s *services) await(ctx context.Context, definition client.Service, started service) error {
	limit := seconds(definition.Within)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var why error
	for {
		if looked := lookOnce(within, definition.Ready, started); looked == nil || why == nil || within.Err() == nil {
			why = looked
		}
		if how, ended := started.ended(within); ended {
			return fmt.Errorf("it %s before it was ready", how)
		}
		if why == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-within.Done():
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("it was not ready within %s: %w", limit, why)
		}
	}
}

func lookOnce(ctx context.Context, ready client.Ready, s service) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	return s.look(ctx, ready)
}

// reached is a service whose ports the worker reaches.
type reached interface {
	// address is where the worker reaches a port of it.
	address(port int) string
	// try runs a command by which it shows that it is ready.
	try(ctx context.Context, command string) error
}

// lookFromHere looks at a service as its readiness says.
func lookFromHere(ctx context.Context, ready client.Ready, s reached) error {
	port, path := portOf(ready)
	switch {
	case ready.TCP > 0:
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address(port))
		if err != nil {
			return err
		}
		return conn.Close()
	case ready.HTTP != "":
		return lookByHTTP(ctx, "http://"+s.address(port)+path)
	case ready.Command != "":
		return s.try(ctx, ready.Command)
	}
	return nil
}

func lookByHTTP(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	asks := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := asks.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

// portOf is the port that shows whether a service is ready, and the path there.
func portOf(ready client.Ready) (port int, path string) {
	if ready.HTTP == "" {
		return ready.TCP, ""
	}
	text, rest, _ := strings.Cut(ready.HTTP, "/")
	port, _ = strconv.Atoi(text)
	return port, "/" + rest
}

// tell writes the end of a service's log into the step's, with its name before each line.
func (s *services) tell(name string, one service) {
	ctx, cancel := context.WithTimeout(context.Background(), tellLimit)
	defer cancel()
	for line := range bytes.Lines(one.log(ctx)) {
		_, _ = fmt.Fprintf(s.output, "%s | %s\n", name, bytes.TrimRight(line, "\r\n"))
	}
}

// end tells of those that have ended too early, and stops the others. The script has ended.
func (s *services) end() {
	ctx, cancel := context.WithTimeout(context.Background(), tellLimit)
	defer cancel()
	for i, one := range s.running {
		if how, ended := one.ended(ctx); ended && one != s.failed {
			_, _ = fmt.Fprintf(s.output, "towpath: service %s %s while the step ran\n", s.names[i], how)
			s.tell(s.names[i], one)
		}
	}
	for _, one := range slices.Backward(s.running) {
		one.stop()
	}
}

// variableName writes a service's name as part of a variable's.
func variableName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// environment is what a service that is a command sees: what the step's script does, and its own.
func (s *services) environment(definition client.Service) []string {
	return s.variables(s.lease, s.room, s.home, definition.Env)
}

// serviceFolder begins the names of services' folders.
const serviceFolder = "service-"

// readyFolder is for scripts that look whether a service is ready.
const readyFolder = "ready"

// folder is a service's own place for files of the executor.
func (s *services) folder(name string) (string, error) {
	dir := filepath.Join(s.room.scratch, serviceFolder+name)
	if s.guest != nil {
		return dir, nil // handOver made it, before the folder above was somebody else's
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make its folder: %w", err)
	}
	return dir, nil
}

var errStopService = errors.New("the step has ended")
