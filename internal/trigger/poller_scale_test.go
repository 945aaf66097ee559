package trigger_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// crowd is a poller with many projects.
type crowd struct {
	*watched
	projects []towpath.Project
}

// crowdOf has so many projects; address answers each one's repository.
func crowdOf(t *testing.T, count int, address func(i int) string) *crowd {
	t.Helper()
	c := &crowd{watched: &watched{t: t, now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}}
	folder := t.TempDir()
	c.store = storetest.Open(t, filepath.Join(folder, "towpath.db"))
	c.read = trigger.NewRepositories(must(git.New(git.Options{}))(t), filepath.Join(folder, "mirrors"))
	c.poller = c.newPoller(func() time.Time { return c.now })
	for i := range count {
		c.projects = append(c.projects, towpath.Project{
			ID: fmt.Sprint("p", i), Name: fmt.Sprint("p", i), URL: address(i), DefaultBranch: "main", Poll: 2 * time.Minute,
		})
	}
	c.do(c.store.Update(t.Context(), func(tx *store.Tx) error {
		for _, p := range c.projects {
			if err := tx.CreateProject(p); err != nil {
				return err
			}
		}
		return nil
	}))
	return c
}

func (c *crowd) newPoller(clock func() time.Time) *trigger.Poller {
	return trigger.NewPoller(trigger.PollerOptions{
		Store: c.store, Repositories: c.read, Recorded: func() {}, Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
}

func TestManyProjectsAreSpreadFromTheFirstRoundOn(t *testing.T) {
	c := crowdOf(t, 2000, func(i int) string { return fmt.Sprintf("https://127.0.0.1:1/%d", i) })
	c.do(c.poller.Begin(t.Context()))
	inEach := make([]int, 10)
	for _, p := range c.projects {
		inEach[int(c.poller.NextPoll(p).Sub(c.now)*10/(101*time.Second))]++
	}
	for i, n := range inEach { // of 200 each; 100 are seven standard deviations away
		if n < 100 || n > 300 {
			t.Errorf("in part %d of the first 100 s %d of 2000 are asked", i, n)
		}
	}
	added := towpath.Project{ID: "new", Name: "new", URL: "https://127.0.0.1:1/new", DefaultBranch: "main", Poll: time.Minute}
	c.add(added)
	c.do(c.poller.Begin(t.Context()))
	if !c.poller.NextPoll(added).Equal(c.now) {
		t.Errorf("one that was added is asked at %s", c.poller.NextPoll(added))
	}
}

// forge counts who asks it at the same time. It answers nobody before it lets go.
type forge struct {
	*httptest.Server
	mutex     sync.Mutex
	now, most int
	arrived   chan bool
	letGo     chan bool
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{arrived: make(chan bool, 1000), letGo: make(chan bool)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.count(1)
		defer f.count(-1)
		f.arrived <- true
		select {
		case <-f.letGo:
		case <-r.Context().Done():
		}
		http.Error(w, "no", http.StatusNotFound)
	}))
	t.Cleanup(f.Close)
	t.Cleanup(sync.OnceFunc(func() { close(f.letGo) }))
	return f
}

func (f *forge) count(n int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.now += n
	f.most = max(f.most, f.now)
}

func TestAHostThatHangsHoldsUpNobodyElse(t *testing.T) {
	hanging := newForge(t)
	var answered atomic.Int32
	quick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answered.Add(1)
		http.Error(w, "no", http.StatusNotFound)
	}))
	t.Cleanup(quick.Close)
	c := crowdOf(t, 60, func(i int) string {
		if i < 40 {
			return fmt.Sprintf("%s/%d", hanging.URL, i)
		}
		return fmt.Sprintf("%s/%d", quick.URL, i)
	})
	poller := c.newPoller(time.Now)
	poller.Start()
	t.Cleanup(poller.Stop)
	deadline := time.After(60 * time.Second)
	for answered.Load() < 20 {
		select {
		case <-deadline:
			t.Fatalf("of 20 that answer at once %d were asked", answered.Load())
		case <-hanging.arrived:
		case <-time.After(10 * time.Millisecond):
		}
	}
	hanging.mutex.Lock()
	defer hanging.mutex.Unlock()
	if hanging.most > 8 {
		t.Errorf("one host was asked %d times at once", hanging.most)
	}
}

func TestAHostThatRefusesConnectionsIsLeftAloneAsAWhole(t *testing.T) {
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := "http://" + closed.Addr().String()
	closed.Close()
	c := crowdOf(t, 40, func(i int) string { return fmt.Sprintf("%s/%d", address, i) })
	c.do(c.poller.Begin(t.Context()))
	c.now = c.now.Add(2 * time.Minute) // all are due
	var pauses []time.Duration
	for range 4 {
		before := c.now
		wait := must(c.poller.RunOnce(t.Context()))(t)
		asked := 0
		for _, p := range c.projects {
			if c.poller.NextPoll(p).After(before) {
				asked++
			}
		}
		if limit := 4 + len(pauses); asked > limit {
			t.Errorf("%d projects of a host that is down were asked, want %d at most", asked, limit)
		}
		pauses = append(pauses, wait)
		c.now = c.now.Add(5 * time.Minute)
	}
	if err := c.poller.Poll(t.Context(), c.projects[0]); !errors.Is(err, git.ErrUnreachable) || !strings.Contains(err.Error(), "asked again") {
		t.Errorf("a host that is down is %v", err)
	}
	if slowest := pauses[0]; slowest > 5*time.Second {
		t.Errorf("the projects are not read for %s", slowest)
	}
}
