package probe

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/process"
)

const (
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
	// defaultInterval lies between two tries, and defaultTimeout ends one, where a definition says nothing.
	defaultInterval, defaultTimeout = time.Second, 2 * time.Second
)

// Subject is an instance that is to be probed.
type Subject struct {
	Instance string // ID
	Release  int
	Address  string // host:port
	Dir      string // where the command of a probe runs
	Process  string // names what runs: another name is another process; empty where that is not known
}

// Dial connects to an instance.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// probe is one try at an instance, as its definition says.
type probe struct {
	definition towpath.HealthDefinition
	env        map[string]string // that the command of a probe gets
	interval   time.Duration
	timeout    time.Duration
	rises      int
	dial       Dial
	client     *http.Client
}

func newProbe(o Options) probe {
	health := o.Definition.Health
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	dial = markingSilence(dial)
	return probe{
		definition: health, env: o.Definition.Env, dial: dial,
		interval: cmp.Or(health.Interval, defaultInterval), timeout: cmp.Or(health.Timeout, defaultTimeout),
		rises: max(1, health.Rises),
		client: &http.Client{
			// Each try makes its own connection: that the instance takes new ones is part of the question.
			Transport:     &http.Transport{DisableKeepAlives: true, DialContext: dial},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// run tries once. The error says what the instance answered instead.
func (p probe) run(ctx context.Context, s Subject) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, silenceError{fmt.Errorf("no answer within %s", p.timeout)})
	defer cancel()
	err := p.ask(ctx, s)
	if err == nil && p.definition.Release != "" {
		err = p.checkRelease(ctx, s)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p probe) ask(ctx context.Context, s Subject) error {
	switch {
	case p.definition.HTTP != "":
		_, err := p.get(ctx, s.Address, p.definition.HTTP)
		return err
	case p.definition.Command != "":
		return p.command(ctx, s)
	case p.definition.TCP:
		connection, err := p.dial(ctx, "tcp", s.Address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return nil // that its process runs is all that was asked for
}

func (p probe) get(ctx context.Context, address, path string) (string, error) {
	url := "http://" + address + "/" + strings.TrimPrefix(path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "towpath-probe")
	answer, err := p.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("GET %s: %w", path, err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 399 {
		return "", fmt.Errorf("GET %s answered %s: %s", path, answer.Status, firstLine(string(body)))
	}
	return string(body), nil
}

// checkRelease asks the instance itself which release it is.
func (p probe) checkRelease(ctx context.Context, s Subject) error {
	body, err := p.get(ctx, s.Address, p.definition.Release)
	if err != nil {
		return err
	}
	if answered := strings.Trim(strings.TrimSpace(body), `"`); answered != strconv.Itoa(s.Release) {
		return fmt.Errorf("GET %s answered %q, and release %d should run there",
			p.definition.Release, firstLine(answered), s.Release)
	}
	return nil
}

func (p probe) command(ctx context.Context, s Subject) error {
	output := new(bytes.Buffer)
	_, port, _ := net.SplitHostPort(s.Address)
	env := os.Environ()
	for name, value := range p.env {
		env = append(env, name+"="+value)
	}
	env = append(env, "PORT="+port, "ADDRESS="+s.Address, "TOWPATH_URL=http://"+s.Address,
		"TOWPATH_INSTANCE="+s.Instance, "TOWPATH_RELEASE="+strconv.Itoa(s.Release))
	command, err := process.Start(ctx, process.Spec{
		Args: shell(p.definition.Command), Dir: s.Dir, Env: env, Stdout: output, Stderr: output,
	})
	if err != nil {
		return err
	}
	result, err := command.Wait()
	if err != nil {
		return err
	}
	if result.ExitCode != 0 {
		return fmt.Errorf("the probe's command ended with status %d: %s", result.ExitCode, lastLine(output.String()))
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 200)]
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return firstLine(lines[len(lines)-1])
}
