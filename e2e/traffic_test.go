//go:build linux

package e2e_test

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath/internal/load"
)

// clients ask the proxy all the time in most stories: some keep their connections, some connect anew.
const (
	keptClients  = 2
	freshClients = 2
)

// asks puts steady load on the proxy, by clients that never try again, until the story ends.
func (s *site) asks() *load.Load {
	return s.asksBy(load.Options{Address: s.traffic, Kept: keptClients, Fresh: freshClients})
}

// asksAnew is asks by clients that connect anew each time.
func (s *site) asksAnew() *load.Load {
	return s.asksBy(load.Options{Address: s.traffic, Fresh: keptClients + freshClients})
}

func (s *site) asksBy(o load.Options) *load.Load {
	o.Targets, o.Label = []load.Target{{Path: "/", Digest: true}}, "X-Release"
	o.Pause, o.Timeout = 5*time.Millisecond, 20*time.Second
	l := load.Start(context.WithoutCancel(s.Context()), o)
	s.Cleanup(func() { l.Stop() })
	return l
}

// flawless ends the load, of which nothing may have failed.
func (s *site) flawless(l *load.Load) {
	s.Helper()
	report := l.Stop()
	if report.Failed > 0 || report.Requests == 0 {
		s.Errorf("%d of %d requests failed: %+v", report.Failed, report.Requests, report.Failures)
	}
	s.Logf("%d requests, none failed", report.Requests)
}

// served answers which version and release the proxy's answers name.
func (s *site) served() (version, release string) {
	s.Helper()
	header, _ := s.ask("/")
	return header.Get("X-Version"), header.Get("X-Release")
}

// get answers what the proxy does.
func (s *site) get(path string) string {
	s.Helper()
	_, body := s.ask(path)
	return body
}

func (s *site) ask(path string) (http.Header, string) {
	s.Helper()
	response, err := http.Get("http://" + s.traffic + path)
	s.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	return response.Header, string(body)
}

// serves checks which version the proxy answers with.
func (s *site) serves(version string) {
	s.Helper()
	if got, release := s.served(); got != version {
		s.Errorf("version %q of release %s serves, not %q", got, release, version)
	}
}
