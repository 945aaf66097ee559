package keeper

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
)

// sideProber asks the instances of both sides themselves, so that there is something to judge where few others ask. Its
// requests go past the balancer, which does not count them.
type sideProber struct {
	path   string
	bounds []time.Duration
	client *http.Client
	places chan struct{} // as many as requests may be in flight

	mutex     sync.Mutex
	instances []towpath.Instance
	counts    map[int]*towpath.Served
}

func newSideProber(d towpath.WatchDefinition, e towpath.Environment) *sideProber {
	s := &sideProber{
		path: "/" + strings.TrimPrefix(d.Probe, "/"), counts: make(map[int]*towpath.Served), places: make(chan struct{}, probesAtOnce),
		client: &http.Client{
			Timeout: probeLimit, Transport: &http.Transport{MaxIdleConnsPerHost: probesAtOnce},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for bound := time.Millisecond; bound <= probeLimit; bound += bound / 4 {
		s.bounds = append(s.bounds, bound)
	}
	if d.P99 > 0 {
		s.bounds = append(s.bounds, d.P99) // so that the limit itself is no guess
		slices.Sort(s.bounds)
	}
	for _, r := range []towpath.ReleaseRef{e.Goal, e.Live} {
		s.counts[r.Number] = &towpath.Served{Release: r.Number, Latency: make([]towpath.Latency, len(s.bounds)+1)}
	}
	return s
}

// follow takes the instances that are there now.
func (s *sideProber) follow(instances []towpath.Instance) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.instances = slices.DeleteFunc(slices.Clone(instances), func(i towpath.Instance) bool {
		return s.counts[i.Release] == nil || i.State != towpath.InstanceRunning || i.Address == "" || !i.Traffic.Known || i.Traffic.Weight == 0
	})
}

// run asks one instance after the other until ctx ends.
func (s *sideProber) run(ctx context.Context) {
	var inFlight sync.WaitGroup
	defer s.client.CloseIdleConnections()
	defer inFlight.Wait()
	for turn := 0; pause(ctx, probePace); turn++ {
		i, is := s.turnOf(turn)
		if !is {
			continue
		}
		select {
		case s.places <- struct{}{}:
		default:
			continue // those that are not answered are enough
		}
		inFlight.Go(func() {
			defer func() { <-s.places }()
			s.ask(ctx, i)
		})
	}
}

func (s *sideProber) turnOf(turn int) (towpath.Instance, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.instances) == 0 {
		return towpath.Instance{}, false
	}
	return s.instances[turn%len(s.instances)], true
}

func (s *sideProber) ask(ctx context.Context, i towpath.Instance) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Address+s.path, http.NoBody)
	if err != nil {
		return
	}
	request.Header.Set("User-Agent", "towpath-watch")
	began := time.Now()
	answer, err := s.client.Do(request)
	status := 0
	if err == nil {
		status = answer.StatusCode
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, longestProbe))
		_ = answer.Body.Close() // what came has been read
	}
	if ctx.Err() == nil {
		s.count(i.Release, time.Since(began), err != nil || status >= http.StatusInternalServerError)
	}
}

func (s *sideProber) count(release int, took time.Duration, isError bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	counts := s.counts[release]
	counts.Requests++
	if isError {
		counts.Errors++
	}
	at, _ := slices.BinarySearch(s.bounds, took)
	counts.Latency[at].Count++
}

// addTo adds what the prober has counted to what the balancer has.
func (s *sideProber) addTo(served []towpath.Served) []towpath.Served {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := slices.Clone(served)
	for release, own := range s.counts {
		at := slices.IndexFunc(all, func(o towpath.Served) bool { return o.Release == release })
		if at < 0 {
			all = append(all, towpath.Served{Release: release})
			at = len(all) - 1
		}
		all[at] = all[at].Add(towpath.Served{Requests: own.Requests, Errors: own.Errors, Latency: s.buckets(own.Latency)})
	}
	return all
}

// buckets gives the counts their bounds. What took longer than the last one is above any limit.
func (s *sideProber) buckets(counts []towpath.Latency) (some []towpath.Latency) {
	for n, l := range counts {
		if l.Count == 0 {
			continue
		}
		l.UpTo = 2 * probeLimit
		if n < len(s.bounds) {
			l.UpTo = s.bounds[n]
		}
		some = append(some, l)
	}
	return some
}
