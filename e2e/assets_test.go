//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// readers load pages and then their scripts, each name of which is of one version only.
type readers struct {
	*site
	client  *http.Client
	hosts   []string // addresses of the instances
	stop    context.CancelFunc
	running sync.WaitGroup
	scripts atomic.Int64
	missing sync.Map // what was asked for → the answer
	seen    sync.Map // versions of pages
}

func (s *site) reads(l *lab) *readers {
	ctx, stop := context.WithCancel(s.Context())
	r := &readers{site: s, stop: stop, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for _, h := range l.hosts {
		r.hosts = append(r.hosts, h.IP+":"+l.port)
	}
	for range 3 {
		r.running.Go(func() {
			for ctx.Err() == nil {
				r.read(ctx)
			}
		})
	}
	s.Cleanup(func() { r.stop(); r.running.Wait() })
	return r
}

// read loads a page, and its script from wherever the balancer sends it, and from every host that is up.
func (r *readers) read(ctx context.Context) {
	status, version := r.load(ctx, r.traffic, "/")
	if status != http.StatusOK {
		return // the load of requests tells of those
	}
	r.seen.Store(version, true)
	path := fmt.Sprintf("/public/app-%s.js", version)
	for _, address := range append([]string{r.traffic, r.traffic}, r.hosts...) {
		status, _ := r.load(ctx, address, path)
		switch {
		case status == http.StatusOK:
			r.scripts.Add(1)
		case status != 0:
			r.missing.Store(address+path, status)
		}
	}
}

// load answers no status where nobody answers.
func (r *readers) load(ctx context.Context, address, path string) (status int, version string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		return 0, ""
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body) // the load checks what is in pages
	return answer.StatusCode, answer.Header.Get("X-Version")
}

// found ends the readers. They have to have seen pages of these versions, and every script.
func (r *readers) found(versions ...string) {
	r.Helper()
	r.stop()
	r.running.Wait()
	r.missing.Range(func(what, status any) bool {
		r.Errorf("%s was answered with %d", what, status)
		return true
	})
	for _, version := range versions {
		if _, is := r.seen.Load(version); !is {
			r.Errorf("nobody read a page of version %s", version)
		}
	}
	r.Logf("%d scripts, none missing", r.scripts.Load())
}

func TestPagesFindTheirScriptsWhileReleasesRollOverHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := newLab(s, 3)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	file := strings.NewReplacer(
		"cp APP version mode dist/", `mkdir dist/public && cp APP version mode dist/ && cp version "dist/public/app-$(cat version).js"`,
		"    drain: 2s", "    drain: 2s\n    assets: public",
	).Replace(l.file("rolling"))
	repository := s.newRepository("app", onHosts.with(tree{"towpath.yaml": file})).watch()
	s.ends(1, "passed")
	reading, traffic := s.reads(l), s.asks()

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	l.allRun(s, "r2")
	repository.push(tree{"version": "three"})
	s.ends(3, "passed")
	for _, version := range []string{"one", "two", "three"} { // pages stay open for long
		for _, h := range l.hosts {
			if status, _ := reading.load(s.Context(), h.IP+":"+l.port, "/public/app-"+version+".js"); status != http.StatusOK {
				t.Errorf("%s answers %d for the script of version %s", h.IP, status, version)
			}
		}
	}
	reading.found("one", "two", "three")
	s.flawless(traffic)
}
