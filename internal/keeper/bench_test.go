//go:build unix

package keeper_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// BenchmarkRollback measures from the order to the first answer of the release that stood by, beside the proxy's own
// command for the same.
func BenchmarkRollback(b *testing.B) {
	s := newSite(b, blueGreen())
	stop := s.keeps()
	one, two := s.release("one"), s.release("two")
	s.goes(one)
	s.goes(two)
	var whole, raw []time.Duration
	for b.Loop() {
		began := time.Now()
		s.rollback()
		until(b, "the old release answers", func() bool { return s.says() == "one" })
		whole = append(whole, time.Since(began))
		until(b, "it is over", func() bool { e, _ := s.now(); return e.Deployment == nil })
		s.goes(two)
	}
	stop()
	proxy := control.New(control.Options{DataDir: s.ProxyDir})
	defer proxy.Close()
	e, _ := s.now()
	for n := range 2 * len(whole) {
		route, err := proxy.Route(context.Background(), e.Key)
		if err != nil {
			b.Fatal(err)
		}
		weights := make(map[string]int)
		for i, backend := range route.Backends {
			weights[backend.ID] = 100 * ((n + i) % 2)
		}
		says := s.says()
		began := time.Now()
		if _, err := proxy.SetWeights(context.Background(), control.Epoch(e.Epoch), e.Key, weights); err != nil {
			b.Fatal(err)
		}
		if n > 0 {
			until(b, "the other release answers", func() bool { return s.says() != says })
			raw = append(raw, time.Since(began))
		}
	}
	b.ReportMetric(float64(median(whole).Microseconds())/1000, "ms/rollback")
	b.ReportMetric(float64(median(raw).Microseconds())/1000, "ms/raw")
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}
