// Command bench measures Towpath beside the same work done without it. Everything is measured on the shipped binary,
// built first and started as processes, in turn with its reference in one run, so that what else the machine does hits
// both alike. Nothing is warmed up aside, nothing is tried again, and whatever fails is a figure of its own.
//
//	go run ./bench                   names the benchmarks
//	go run ./bench run --quick       runs one, with fewer rounds
//	go run ./bench switch --driver nginx   runs it for another balancer than ours: haproxy, nginx, caddy, dns or command
//	go run ./bench --page FILE       runs all, and writes the page
//	go run ./bench --page FILE run   runs one, and writes its part of the page anew
//
// Standard output holds one tab-separated line a figure, and nothing else. The exit code is 0 when every goal is met,
// 1 when one is short or could not be measured, 2 when the arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// The exit codes.
const (
	exitMet   = 0
	exitShort = 1
	exitUsage = 2
)

// benchmark measures the figures of one name.
type benchmark struct {
	name    string
	about   string
	measure func(context.Context, *stage) ([]Figure, error)
}

// benchmarks are all, in the order of the page.
func benchmarks() []benchmark {
	return []benchmark{
		{"run", "running pipelines, beside a shell script that clones and runs the same steps", measureRun},
		{"switch", "moving traffic under load, beside the proxy's own orders", measureSwitch},
		{"switch-haproxy", "the same behind HAProxy, beside commands to its socket", measureSwitchHAProxy},
		{"switch-nginx", "the same behind nginx, beside a rewrite and a reload by hand", measureSwitchNginx},
		{"switch-caddy", "the same behind Caddy, beside a PATCH by curl", measureSwitchCaddy},
		{"switch-dns", "the same by the addresses of a name, by the driver, beside bare updates of BIND", measureSwitchDNS},
		{"switch-command", "the same by a script that moves an nginx, beside the script by hand", measureSwitchCommand},
		{"proxy", "requests through the proxy, beside none and beside a 40-line one", measureProxy},
		{"log", "a million lines of a step, beside the same script writing to a file", measureLog},
		{"webhook", "deliveries of webhooks, also while the server is killed", measureWebhook},
		{"survive", "fifty steps through restarts of the server, and steps whose worker is killed", measureSurvive},
		{"idle", "memory and CPU of processes that have nothing to do", measureIdle},
		{"poll", "asking many repositories for new commits, over http and as folders", measurePoll},
		{"checkout", "a workspace from a warm mirror, beside git clone --depth 1 and git worktree add", measureCheckout},
		{"workers", "two hundred workers and twenty steps a second on one server", measureWorkers},
		{"neighbours", "short steps beside a hostile one of the same worker, at each level of isolation", measureNeighbours},
		{"cache", "keeping and restoring a step's cache, beside tar", measureCache},
		{"artifact", "artifacts up from one worker and down to another, beside tar and cp", measureArtifact},
		{"ssh", "releases on hosts, beside tar over ssh and a rename", measureSSH},
		{"rolling", "rolling updates of five hosts with systemd under load, also with something failing on one of them", measureRolling},
		{"rolling-killed", "kill -9 of the keeper in deployments to five hosts by SSH", measureKeeperKilled},
		{"crash", "kill -9 of everything, and what was lost by it", measureCrash},
	}
}

func main() {
	if verb, ok := part(os.Args); ok {
		os.Exit(verb(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// part answers what this program does when it is one of a benchmark's own processes.
func part(args []string) (func([]string) int, bool) {
	if len(args) < 2 {
		return nil, false
	}
	verb, ok := map[string]func([]string) int{
		"apart":       apartMain,
		"application": applicationMain,
		"plain-proxy": plainProxyMain,
	}[args[1]]
	return verb, ok
}

// orders are what the command line asks for.
type orders struct {
	names []string
	quick bool
	page  string
}

func bench(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := read(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitMet
	case err != nil:
		fmt.Fprintln(progress, err)
		return exitUsage
	case len(o.names) == 0 && o.page == "":
		for _, b := range benchmarks() {
			fmt.Fprintln(out, b.name)
		}
		return exitMet
	}
	return perform(ctx, o, out, progress)
}

// read takes flags before, between and after the names.
func read(args []string, progress io.Writer) (orders, error) {
	var o orders
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.BoolVar(&o.quick, "quick", false, "fewer rounds: for a look, not for figures")
	driver := flags.String("driver", "", "balancer of the benchmark switch: proxy (ours), haproxy, nginx, caddy, dns or command")
	flags.StringVar(&o.page, "page", "", "write this page: of all, or of those that are named")
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return o, err
		}
		if args = flags.Args(); len(args) > 0 {
			o.names, args = append(o.names, args[0]), args[1:]
		}
	}
	for n, name := range o.names {
		if name == "switch" && *driver != "" && *driver != "proxy" {
			o.names[n] = "switch-" + *driver
			name = o.names[n]
		}
		if _, ok := find(name); !ok {
			return o, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	if o.page != "" && len(o.names) == 0 {
		o.names = names()
	}
	return o, nil
}

// perform measures one name after the other. One that fails does not keep the others from being measured.
func perform(ctx context.Context, o orders, out, progress io.Writer) int {
	code := exitMet
	var found []chapter
	on, when := facts(ctx), moment(ctx)
	for _, name := range o.names {
		b, _ := find(name)
		figures, err := measure(ctx, b, o.quick, progress)
		found = append(found, chapter{b, figures, err, when})
		code = max(code, tell(found[len(found)-1:], out, progress))
	}
	if o.page != "" {
		if err := writePage(o.page, on, found); err != nil {
			fmt.Fprintln(progress, err)
			return exitShort
		}
	}
	return code
}

// tell writes figures down, and answers the exit code.
func tell(found []chapter, out, progress io.Writer) int {
	code := exitMet
	for _, c := range found {
		for _, f := range c.figures {
			fmt.Fprintln(out, f)
			if !f.IsMet() {
				code = exitShort
			}
		}
		if c.failure != nil {
			fmt.Fprintf(progress, "%s: %v\n", c.name, c.failure)
			code = exitShort
		}
	}
	return code
}

func measure(ctx context.Context, b benchmark, quick bool, progress io.Writer) (figures []Figure, err error) {
	s, err := newStage(ctx, b.name, quick, progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return b.measure(ctx, s)
}

func find(name string) (benchmark, bool) {
	for _, b := range benchmarks() {
		if b.name == name {
			return b, true
		}
	}
	return benchmark{}, false
}

func names() []string {
	var all []string
	for _, b := range benchmarks() {
		all = append(all, b.name)
	}
	return all
}
