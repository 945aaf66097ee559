package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	connections = 32   // at once, in every load
	proxyGoal   = 0.95 // of the 40-line proxy's requests a second
	benchHost   = "bench.test"
)

// order is the epoch under which the benchmark gives orders to a proxy.
func order() control.Epoch { return control.Epoch{Number: 1, Holder: "bench"} }

// way is one way to the application.
type way struct {
	name    string
	address string
	proxy   *process // nil where there is none

	rates []float64 // requests a second, of each round
	began time.Duration
	cpu   time.Duration
}

// measureProxy asks the same application through nothing, through ours, and through other proxies, in turn.
func measureProxy(ctx context.Context, s *stage) ([]Figure, error) {
	ways, err := newWays(ctx, s)
	if err != nil {
		return nil, err
	}
	rounds, each := s.rounds(30, 6), 200
	failed := 0
	var failure error
	for round := range rounds {
		s.say("proxy: round %d", round+1)
		for i := range ways {
			began := time.Now()
			n, err := hammer(ways[i].address, benchHost, connections, each)
			if n > 0 {
				failed, failure = failed+n, fmt.Errorf("a request by way of %s: %w", ways[i].name, err)
			}
			ways[i].rates = append(ways[i].rates, float64(connections*each-n)/time.Since(began).Seconds())
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	for i := range ways {
		if err := ways[i].readCPU(); err != nil {
			return nil, err
		}
	}
	return append(wayFigures(ways, float64(rounds*each*connections)),
		Figure{Name: "requests that failed, by any way", Ours: float64(failed), Unit: "requests", Goal: AtMost(0)}), failure
}

// newWays starts the application and every proxy, each a process of its own.
func newWays(ctx context.Context, s *stage) ([]way, error) {
	_, application, err := s.startPart("application", "application")
	if err != nil {
		return nil, err
	}
	plain, plainAddress, err := s.startPart("plain-proxy", "plain-proxy", application)
	if err != nil {
		return nil, err
	}
	ours, err := s.startProxy(ctx, "")
	if err != nil {
		return nil, err
	}
	if _, err := ours.PutRoute(ctx, order(), control.Route{Name: "bench/production", Hosts: []string{benchHost}}); err != nil {
		return nil, err
	}
	backend := control.Backend{ID: "one", Address: application, Release: 1, Weight: 1}
	if _, err := ours.PutBackends(ctx, order(), "bench/production", []control.Backend{backend}); err != nil {
		return nil, err
	}
	ways := []way{
		{name: "none", address: application},
		{name: "40-line proxy", address: plainAddress, proxy: plain},
		{name: "ours", address: ours.address, proxy: ours.process},
	}
	haproxy, err := startHAProxy(ctx, s, application)
	if err == nil {
		ways = append(ways, haproxy)
	} else if !errors.Is(err, exec.ErrNotFound) {
		return nil, err
	}
	for i := range ways {
		if ways[i].proxy == nil {
			continue
		}
		if ways[i].began, err = cpu(ways[i].proxy.pid()); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

// haproxySettings are HAProxy's as ours are: kept connections on both sides, and the same headers.
const haproxySettings = `global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  option forwardfor
  http-reuse always
frontend bench
  bind %s
  default_backend application
backend application
  server one %s
`

// startHAProxy starts one where it is installed.
func startHAProxy(ctx context.Context, s *stage, application string) (way, error) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return way{}, err
	}
	address, err := freeAddress()
	if err != nil {
		return way{}, err
	}
	settings := s.path("haproxy.cfg")
	if err := os.WriteFile(settings, fmt.Appendf(nil, haproxySettings, address, application), 0o600); err != nil {
		return way{}, err
	}
	p, err := s.start("haproxy", nil, program, "-db", "-f", settings)
	if err != nil {
		return way{}, err
	}
	err = until(ctx, "HAProxy", func() (bool, error) {
		a := &asker{address: address, host: benchHost}
		defer a.close()
		_, err := a.ask("/small")
		return err == nil, err
	})
	return way{name: "HAProxy", address: address, proxy: p}, err
}

func (w *way) readCPU() error {
	if w.proxy == nil {
		return nil
	}
	now, err := cpu(w.proxy.pid())
	w.cpu = now - w.began
	return err
}

func wayFigures(ways []way, requests float64) []Figure {
	none, plain, ours := ways[0], ways[1], ways[2]
	perRequest := func(w way) float64 { return float64(w.cpu.Microseconds()) / requests }
	rate := func(w way) Figure {
		return Figure{Name: "requests a second", Ours: median(ours.rates), Unit: "requests/s", Reference: w.name, Limit: median(w.rates)}
	}
	used := func(w way) Figure {
		return Figure{Name: "CPU a request", Ours: perRequest(ours), Unit: "µs", Reference: w.name, Limit: perRequest(w)}
	}
	beside := rate(plain)
	beside.Goal = AtLeast(proxyGoal * beside.Limit)
	figures := []Figure{beside, rate(none), used(plain)}
	if len(ways) > 3 {
		return append(figures, rate(ways[3]), used(ways[3]))
	}
	return append(figures, absent(rate(none), "HAProxy"), absent(used(plain), "HAProxy"))
}

// absent is a figure whose reference is not installed.
func absent(f Figure, reference string) Figure {
	f.Name += ", beside " + reference + ", which is not installed"
	f.Reference = ""
	return f
}
