package proxy

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// The latency buckets: four to each doubling, from 64 µs to 134 s, one more below and one above.
const (
	firstDoubling = 6 // 2^6 µs
	lastDoubling  = 27
	latencyCount  = (lastDoubling-firstDoubling)*4 + 2
)

// outcome is how a request or stream ended.
type outcome int

const (
	outcomeWell outcome = iota
	outcomeConnect
	outcomeNoAnswer
	outcomeCutBody
	outcomeClientGone
	outcomeCut
	outcomeCount
)

// counters are written on the hot path by atomics alone.
type counters struct {
	requests     atomic.Uint64
	streams      atomic.Uint64
	cutRequests  atomic.Uint64
	cutStreams   atomic.Uint64
	byClass      [6]atomic.Uint64
	outcomes     [outcomeCount]atomic.Uint64
	latency      [latencyCount]atomic.Uint64
	lastFinished atomic.Int64 // Unix nanoseconds
}

func (c *counters) finishRequest(status int, took time.Duration, now time.Time, end outcome) {
	class := status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	c.byClass[class].Add(1)
	c.outcomes[end].Add(1)
	c.latency[latencyIndex(took)].Add(1)
	c.lastFinished.Store(now.UnixNano())
	c.requests.Add(1)
	if end == outcomeCut {
		c.cutRequests.Add(1)
	}
}

func (c *counters) finishStream(end outcome) {
	c.outcomes[end].Add(1)
	c.streams.Add(1)
	if end == outcomeCut {
		c.cutStreams.Add(1)
	}
}

// read copies the counters; each figure is right, though not all of the same instant.
func (c *counters) read() control.Counters {
	read := control.Counters{
		Requests: c.requests.Load(),
		Streams:  c.streams.Load(),
		Errors: control.Errors{
			Connect:    c.outcomes[outcomeConnect].Load(),
			NoAnswer:   c.outcomes[outcomeNoAnswer].Load(),
			CutBody:    c.outcomes[outcomeCutBody].Load(),
			ClientGone: c.outcomes[outcomeClientGone].Load(),
			Cut:        c.outcomes[outcomeCut].Load(),
		},
	}
	for class := range c.byClass {
		read.ByClass[class] = c.byClass[class].Load()
	}
	for index := range c.latency {
		if count := c.latency[index].Load(); count > 0 {
			read.Latency = append(read.Latency, control.Bucket{UpTo: latencyBound(index), Count: count})
		}
	}
	read.LastFinished = c.last()
	return read
}

// last is when the last request ended, zero when none has.
func (c *counters) last() time.Time {
	if last := c.lastFinished.Load(); last > 0 {
		return time.Unix(0, last)
	}
	return time.Time{}
}

// latencyIndex finds the bucket whose bound is the first that is not below took.
func latencyIndex(took time.Duration) int {
	micros := uint64(max(0, took-1) / time.Microsecond)
	doubling := bits.Len64(micros) - 1
	if doubling < firstDoubling {
		return 0
	}
	if doubling >= lastDoubling {
		return latencyCount - 1
	}
	quarter := int(micros>>(doubling-2)) & 3
	return (doubling-firstDoubling)*4 + quarter + 1
}

// latencyBound is the upper bound of a bucket; the last has none, and says an hour.
func latencyBound(index int) time.Duration {
	if index == latencyCount-1 {
		return time.Hour
	}
	doubling, quarter := firstDoubling+index/4, index%4
	return time.Duration(4+quarter) << (doubling - 2) * time.Microsecond
}
