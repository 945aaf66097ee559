package control

import "time"

// DrainRequest asks to wait until backends without weight have nothing in flight. The two clocks start with
// the call; zero means that nothing is waited for.
type DrainRequest struct {
	Backends []string `json:"backends"` // ids; every one must have weight 0
	// Requests is how long requests in flight are waited for. Those left are reported, and cut only when
	// CutRequests is set.
	Requests    time.Duration `json:"requests"`
	CutRequests bool          `json:"cutRequests,omitempty"`
	// Streams is how long streams may live; then they are closed, unless KeepStreams is set.
	Streams     time.Duration `json:"streams"`
	KeepStreams bool          `json:"keepStreams,omitempty"`
}

// DrainResult tells how a drain ended.
type DrainResult struct {
	Requests DrainCount `json:"requests"`
	Streams  DrainCount `json:"streams"`
	// LastFinished is when the last request (not stream) of these backends ended, also before the drain;
	// zero when there never was one.
	LastFinished time.Time     `json:"lastFinished,omitzero"`
	Waited       time.Duration `json:"waited"` // nanoseconds
}

// DrainCount is what became of what was in flight.
type DrainCount struct {
	Finished uint64 `json:"finished"` // ended by itself while the drain waited
	Cut      uint64 `json:"cut"`      // ended by the drain
	Left     int64  `json:"left"`     // still in flight
}

// IsIdle reports whether nothing is left in flight.
func (r DrainResult) IsIdle() bool { return r.Requests.Left == 0 && r.Streams.Left == 0 }

// Add returns both results as one.
func (r DrainResult) Add(other DrainResult) DrainResult {
	sum := DrainResult{
		Requests:     r.Requests.add(other.Requests),
		Streams:      r.Streams.add(other.Streams),
		LastFinished: r.LastFinished,
		Waited:       max(r.Waited, other.Waited),
	}
	if other.LastFinished.After(sum.LastFinished) {
		sum.LastFinished = other.LastFinished
	}
	return sum
}

func (c DrainCount) add(other DrainCount) DrainCount {
	return DrainCount{Finished: c.Finished + other.Finished, Cut: c.Cut + other.Cut, Left: c.Left + other.Left}
}
