package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// rawRoute is the route that the benchmark orders about by itself.
const rawRoute = "raw/production"

// rawSide gives the proxy the same orders as its driver does, and nothing else.
type rawSide struct {
	*stage
	proxy    *trafficProxy
	releases int
	old, now *instance
}

// instance is a process of the application.
type instance struct {
	*process
	control.Backend
}

func newRawSide(ctx context.Context, s *stage, proxy *trafficProxy) (*rawSide, error) {
	r := &rawSide{stage: s, proxy: proxy}
	if _, err := proxy.PutRoute(ctx, order(), control.Route{Name: rawRoute, Hosts: []string{r.host()}}); err != nil {
		return nil, err
	}
	if _, err := r.prepare(ctx); err != nil {
		return nil, err
	}
	_, err := proxy.SetWeights(ctx, order(), rawRoute, map[string]int{r.now.ID: 1})
	return r, err
}

func (r *rawSide) host() string { return "raw.test" }

// prepare starts an instance of a new release beside the one that serves.
func (r *rawSide) prepare(ctx context.Context) (string, error) {
	r.releases++
	release := strconv.Itoa(r.releases)
	p, err := r.start("application"+release, []string{"TOWPATH_RELEASE=" + release}, r.self, "application")
	if err != nil {
		return "", err
	}
	address, err := p.firstLine()
	if err != nil {
		return "", err
	}
	r.old, r.now = r.now, &instance{p, control.Backend{ID: "raw-" + release, Address: address, Release: r.releases}}
	backends := []control.Backend{r.now.Backend}
	if r.old != nil {
		serving := r.old.Backend
		serving.Weight = 1
		backends = append(backends, serving)
	}
	_, err = r.proxy.PutBackends(ctx, order(), rawRoute, backends)
	return release, err
}

func (r *rawSide) move(ctx context.Context) error {
	if _, err := r.proxy.SetWeights(ctx, order(), rawRoute, map[string]int{r.now.ID: 1}); err != nil {
		return err
	}
	result, err := r.proxy.Drain(ctx, order(), rawRoute, control.DrainRequest{
		Backends: []string{r.old.ID}, Requests: 30 * time.Second,
	})
	if err == nil && !result.IsIdle() {
		err = fmt.Errorf("%d requests are left", result.Requests.Left)
	}
	return err
}

func (r *rawSide) killOld() error { return r.old.kill() }
