package store_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/towpath-cd/towpath/internal/store"
)

func BenchmarkOneUpdateAfterAnother(b *testing.B) {
	s := open(b)
	for i := 0; b.Loop(); i++ {
		put(b, s, i)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkUpdatesThatWaitTogether(b *testing.B) {
	s := open(b)
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			put(b, s, int(n.Add(1)))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

func put(b *testing.B, s *store.Store, i int) {
	err := s.Update(b.Context(), func(tx *store.Tx) error { return tx.PutSetting("n"+strconv.Itoa(i), "a value") })
	if err != nil {
		b.Error(err)
	}
}

func BenchmarkViewOfARun(b *testing.B) {
	s := open(b)
	withShop(b, s)
	update(b, s, func(tx *store.Tx) error { return tx.CreateRun(run("r1", 1)) })
	for b.Loop() {
		view(b, s, func(tx *store.Tx) error {
			_, _, err := tx.Run("r1")
			return err
		})
	}
}
