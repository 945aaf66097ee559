package towpath

import (
	"cmp"
	"slices"
	"time"
)

// Served is what a release has answered since its balancer began to count.
type Served struct {
	Release  int
	Requests uint64    // that ended
	Errors   uint64    // of these: answered with a status of 500 or above, or not answered whole by an instance's fault
	Latency  []Latency `json:",omitempty"` // of all that ended, the quickest first
}

// Latency counts the requests that took at most UpTo, and longer than those counted before it.
type Latency struct {
	UpTo  time.Duration
	Count uint64
}

// ServedBy answers what a release has answered.
func ServedBy(counts []Served, release int) Served {
	for _, s := range counts {
		if s.Release == release {
			return s
		}
	}
	return Served{Release: release}
}

// Since answers what came after an earlier count. Where less is counted now than then, the balancer has begun anew, and
// all of it came after.
func (s Served) Since(earlier Served) Served {
	if s.Requests < earlier.Requests || s.Errors < earlier.Errors {
		return s
	}
	after := Served{Release: s.Release, Requests: s.Requests - earlier.Requests, Errors: s.Errors - earlier.Errors}
	before := map[time.Duration]uint64{}
	for _, l := range earlier.Latency {
		before[l.UpTo] = l.Count
	}
	for _, l := range s.Latency {
		if more := l.Count - min(l.Count, before[l.UpTo]); more > 0 {
			after.Latency = append(after.Latency, Latency{UpTo: l.UpTo, Count: more})
		}
	}
	return after
}

// Add answers what both have counted, of the same release.
func (s Served) Add(other Served) Served {
	sum := Served{
		Release: s.Release, Requests: s.Requests + other.Requests, Errors: s.Errors + other.Errors, Latency: slices.Clone(s.Latency),
	}
	for _, l := range other.Latency {
		at, is := slices.BinarySearchFunc(sum.Latency, l.UpTo, func(l Latency, upTo time.Duration) int { return cmp.Compare(l.UpTo, upTo) })
		if is {
			sum.Latency[at].Count += l.Count
			continue
		}
		sum.Latency = slices.Insert(sum.Latency, at, l)
	}
	return sum
}

// Slower counts the requests that certainly took longer than a limit: those of buckets that begin above it.
func (s Served) Slower(limit time.Duration) (count uint64) {
	var from time.Duration
	for _, l := range s.Latency {
		if from >= limit {
			count += l.Count
		}
		from = l.UpTo
	}
	return count
}
