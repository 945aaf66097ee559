package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/balancer/caddy"
	"github.com/towpath-cd/towpath/internal/balancer/command"
	"github.com/towpath-cd/towpath/internal/balancer/dns"
	"github.com/towpath-cd/towpath/internal/balancer/haproxy"
	"github.com/towpath-cd/towpath/internal/balancer/nginx"
	"github.com/towpath-cd/towpath/internal/balancer/proxy"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
	"github.com/towpath-cd/towpath/internal/keeper"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/target/hosts"
	"github.com/towpath-cd/towpath/internal/target/process"
)

// testGrace is how long a strategy's test may take to end once it is interrupted.
const testGrace = 10 * time.Second

// testLines is how many of the last lines of a test that failed are told.
const testLines = 20

// LeashVerb is the verb that ends a command of a person where its worker dies.
const LeashVerb = "leash"

// keepEnvironments keeps the environments that the server gives this worker, until ctx ends.
func keepEnvironments(ctx context.Context, o WorkerOptions, server *client.Client) error {
	return keeper.Run(ctx, keeper.Options{
		Client: server, DataDir: o.Data, Open: o.openDrivers, Script: runScript(shell.New()),
		Logger: o.Log.With("room", "keeper"),
	})
}

// openDrivers opens the target and the balancer that a definition names.
func (o WorkerOptions) openDrivers(s keeper.Site) (keeper.Drivers, error) {
	var drivers keeper.Drivers
	target, err := o.openTarget(s)
	if err != nil {
		return drivers, fmt.Errorf("open the target of %s: %w", s.Environment, err)
	}
	drivers.Target = target
	drivers.Balancer, err = o.openBalancer(s)
	if err != nil {
		return drivers, fmt.Errorf("open the balancer of %s: %w", s.Environment, err)
	}
	return drivers, nil
}

// openTarget opens that of hosts, which are reached as the user who runs the worker reaches them, or that of processes.
func (o WorkerOptions) openTarget(s keeper.Site) (deploy.Driver, error) {
	log := o.Log.With("room", "target")
	if s.Definition.Target.Hosts == nil {
		return process.New(process.Options{
			Environment: s.Environment, Definition: s.Definition, Secrets: s.Secrets, DataDir: o.Data,
			Supervise: slices.Concat(o.Command, []string{"supervise"}), Leash: slices.Concat(o.Command, []string{LeashVerb}),
			Files: s.Files, Logger: log,
		})
	}
	me, err := ssh.OfThisUser()
	if err != nil {
		return nil, err
	}
	return hosts.New(hosts.Options{
		Environment: s.Environment, Definition: s.Definition, Secrets: s.Secrets, DataDir: o.Data, SSH: me, Files: s.Files, Logger: log,
	})
}

// openBalancer answers nil where the definition has none.
func (o WorkerOptions) openBalancer(s keeper.Site) (deploy.Driver, error) {
	switch kind := s.Definition.Balancer.Kind(); kind {
	case towpath.BalancerNone:
		return nil, nil //nolint:nilnil // there is none, and none is needed
	case towpath.BalancerProxy:
		return proxy.New(proxy.Options{
			Environment: s.Environment, Definition: s.Definition, Credentials: s.Credentials, DataDir: o.Config.Proxy,
		})
	case towpath.BalancerHAProxy:
		return haproxy.New(haproxy.Options{Environment: s.Environment, Definition: s.Definition})
	case towpath.BalancerNginx:
		return openNginx(s)
	case towpath.BalancerCommand:
		return command.New(command.Options{Environment: s.Environment, Definition: s.Definition, Secrets: s.Secrets})
	case towpath.BalancerCaddy:
		return caddy.New(caddy.Options{Environment: s.Environment, Definition: s.Definition})
	case towpath.BalancerDNS:
		return dns.New(dns.Options{Environment: s.Environment, Definition: s.Definition, Credentials: s.Credentials, Now: time.Now})
	default:
		return nil, fmt.Errorf("this worker knows no balancer %s", kind)
	}
}

// openNginx has its hosts reached as the user who runs the worker reaches them.
func openNginx(s keeper.Site) (deploy.Driver, error) {
	me, err := ssh.OfThisUser()
	if err != nil && len(s.Definition.Balancer.Nginx.Hosts) > 0 {
		return nil, err
	}
	return nginx.New(nginx.Options{Environment: s.Environment, Definition: s.Definition, SSH: me})
}

// runScript runs a strategy's test or a hook by the shell.
func runScript(sh shell.Shell) func(context.Context, keeper.Script) error {
	return func(ctx context.Context, s keeper.Script) error {
		scratch, err := os.MkdirTemp("", "towpath-script-")
		if err != nil {
			return fmt.Errorf("make a folder for a script: %w", err)
		}
		defer os.RemoveAll(scratch)
		var output bytes.Buffer
		result, err := sh.Run(ctx, executor.Script{
			Text: s.Text, Dir: s.Dir, Scratch: scratch, Env: environ(s.Env, scratch), Output: &output, Grace: testGrace,
		})
		if err != nil || result.Passed() {
			return err
		}
		lines := strings.Split(strings.TrimSpace(output.String()), "\n")
		return &keeper.ScriptFailure{
			ExitCode: result.ExitCode, Reason: result.Reason, Log: lines[max(0, len(lines)-testLines):],
		}
	}
}

// environ is all that a test sees: what the keeper gives it, and where programs are.
func environ(given map[string]string, home string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + filepath.Clean(home)}
	for name, value := range given {
		env = append(env, name+"="+value)
	}
	return env
}
