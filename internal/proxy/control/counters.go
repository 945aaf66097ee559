package control

import (
	"slices"
	"time"
)

// Counters are what a backend has done since the proxy started. They only rise.
type Counters struct {
	Requests uint64    `json:"requests"` // finished, streams not counted
	Streams  uint64    `json:"streams"`  // finished
	ByClass  [6]uint64 `json:"byClass"`  // finished requests by the hundreds of their status; 0: no status
	Errors   Errors    `json:"errors"`
	// Latency is of finished requests, from the first byte read to the last written; only buckets that hold
	// something, the quickest first. A bucket's bounds never change between versions of one proxy.
	Latency []Bucket `json:"latency,omitempty"`
	// LastFinished is when the last request (not stream) ended; zero when none has.
	LastFinished time.Time `json:"lastFinished,omitzero"`
}

// Errors counts requests and streams that did not end well, by what went wrong.
type Errors struct {
	Connect    uint64 `json:"connect"`    // the backend took no connection: 502
	NoAnswer   uint64 `json:"noAnswer"`   // it closed before an answer began, or answered nonsense: 502
	CutBody    uint64 `json:"cutBody"`    // it closed in the middle of an answer
	ClientGone uint64 `json:"clientGone"` // the client closed first: no fault of the backend
	Cut        uint64 `json:"cut"`        // ended by the proxy: a drain's clock was over, or it was told to
}

// Bucket counts requests that took at most UpTo, and longer than the bucket before it.
type Bucket struct {
	UpTo  time.Duration `json:"upTo"` // nanoseconds
	Count uint64        `json:"count"`
}

// Add returns the sum of both.
func (c Counters) Add(other Counters) Counters {
	sum := c
	sum.Requests += other.Requests
	sum.Streams += other.Streams
	for class, count := range other.ByClass {
		sum.ByClass[class] += count
	}
	sum.Errors = c.Errors.add(other.Errors)
	sum.Latency = addBuckets(c.Latency, other.Latency)
	if other.LastFinished.After(sum.LastFinished) {
		sum.LastFinished = other.LastFinished
	}
	return sum
}

// Quantile returns the upper bound of the bucket in which the q-th part (0 to 1) of the requests ends, or
// zero when there were none. Bounds lie a fifth apart.
func (c Counters) Quantile(q float64) time.Duration {
	var total, passed uint64
	for _, bucket := range c.Latency {
		total += bucket.Count
	}
	for _, bucket := range c.Latency {
		passed += bucket.Count
		if float64(passed) >= q*float64(total) {
			return bucket.UpTo
		}
	}
	return 0
}

func (e Errors) add(other Errors) Errors {
	return Errors{
		Connect:    e.Connect + other.Connect,
		NoAnswer:   e.NoAnswer + other.NoAnswer,
		CutBody:    e.CutBody + other.CutBody,
		ClientGone: e.ClientGone + other.ClientGone,
		Cut:        e.Cut + other.Cut,
	}
}

func addBuckets(a, b []Bucket) []Bucket {
	sum := slices.Clone(a)
	for _, bucket := range b {
		at, found := slices.BinarySearchFunc(sum, bucket, func(x, y Bucket) int { return int(x.UpTo - y.UpTo) })
		if found {
			sum[at].Count += bucket.Count
			continue
		}
		sum = slices.Insert(sum, at, bucket)
	}
	return sum
}
