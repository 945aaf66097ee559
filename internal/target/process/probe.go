package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// probe is one try at an instance, as its definition says.
type probe struct {
	definition towpath.HealthDefinition
	env        map[string]string // that the command of a probe gets
	interval   time.Duration
	timeout    time.Duration
	rises      int
	client     *http.Client
}

func newProbe(o Options) probe {
	health := o.Definition.Health
	return probe{
		definition: health, env: o.Definition.Env,
		interval: orDefault(health.Interval, time.Second), timeout: orDefault(health.Timeout, 2*time.Second),
		rises: max(1, health.Rises),
		client: &http.Client{
			// Each try makes its own connection: that the instance takes new ones is part of the question.
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func orDefault(d, standard time.Duration) time.Duration {
	if d <= 0 {
		return standard
	}
	return d
}

// run tries once. The error says what the instance answered instead.
func (p probe) run(ctx context.Context, e supervise.Entry) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("no answer within %s", p.timeout))
	defer cancel()
	err := p.ask(ctx, e)
	if err == nil && p.definition.Release != "" {
		err = p.checkRelease(ctx, e)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p probe) ask(ctx context.Context, e supervise.Entry) error {
	switch {
	case p.definition.HTTP != "":
		_, err := p.get(ctx, e.Spec.Address, p.definition.HTTP)
		return err
	case p.definition.Command != "":
		return p.command(ctx, e)
	case p.definition.TCP:
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", e.Spec.Address)
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
func (p probe) checkRelease(ctx context.Context, e supervise.Entry) error {
	body, err := p.get(ctx, e.Spec.Address, p.definition.Release)
	if err != nil {
		return err
	}
	if answered := strings.Trim(strings.TrimSpace(body), `"`); answered != strconv.Itoa(e.Spec.Release) {
		return fmt.Errorf("GET %s answered %q, and release %d should run there",
			p.definition.Release, firstLine(answered), e.Spec.Release)
	}
	return nil
}

func (p probe) command(ctx context.Context, e supervise.Entry) error {
	output := new(bytes.Buffer)
	_, port, _ := net.SplitHostPort(e.Spec.Address)
	env := os.Environ()
	for name, value := range p.env {
		env = append(env, name+"="+value)
	}
	env = append(env, "PORT="+port, "ADDRESS="+e.Spec.Address, "TOWPATH_URL=http://"+e.Spec.Address,
		"TOWPATH_INSTANCE="+e.Spec.Instance, "TOWPATH_RELEASE="+strconv.Itoa(e.Spec.Release))
	command, err := proc.Start(ctx, proc.Spec{
		Args: shell(p.definition.Command), Dir: e.Spec.Dir, Env: env, Stdout: output, Stderr: output,
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

// errNotStarted means that an instance to be probed has no supervisor's folder.
var errNotStarted = errors.New("it was not started")
