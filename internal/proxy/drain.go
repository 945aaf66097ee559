package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// settleTime is how long what was cut may take to end. Closing a connection ends it at once; this is for a
// machine under heavy load.
const settleTime = 5 * time.Second

// Drain waits until the route's backends have nothing in flight or their clocks are over. When ctx ends
// first, what is known by then is returned with its cause.
func (s *Server) Drain(ctx context.Context, route string, request control.DrainRequest) (control.DrainResult, error) {
	d, err := s.newDrain(route, request)
	if err != nil {
		return control.DrainResult{}, err
	}
	defer d.close()
	err = d.wait(ctx)
	return d.result(), err
}

// drain is one such wait.
type drain struct {
	server   *Server
	request  control.DrainRequest
	backends []*backend
	wake     chan struct{}
	began    time.Time
	before   tally
}

// tally is how much had ended at some moment.
type tally struct {
	requests, cutRequests, streams, cutStreams uint64
}

func (s *Server) newDrain(name string, request control.DrainRequest) (*drain, error) {
	route := s.table.Load().routes[name]
	if route == nil {
		return nil, control.Refuse(control.CodeUnknownRoute, "put it first", "no route %q", name)
	}
	d := &drain{server: s, request: request, wake: make(chan struct{}, 1), began: time.Now()}
	for _, id := range request.Backends {
		b := route.backends[id]
		if b == nil {
			return nil, control.Refuse(control.CodeUnknownBackend, "", "route %q has no backend %q", name, id)
		}
		d.backends = append(d.backends, b)
	}
	for _, b := range d.backends {
		b.watch(d.wake)
	}
	d.before = d.tally()
	return d, nil
}

func (d *drain) close() {
	for _, b := range d.backends {
		b.unwatch(d.wake)
	}
}

func (d *drain) wait(ctx context.Context) error {
	requests, streams := newClock(d.request.Requests), newClock(d.request.Streams)
	defer requests.stop()
	defer streams.stop()
	for {
		if err := d.checkWeights(); err != nil {
			return err
		}
		left := d.inFlight()
		if (left.Requests == 0 || requests.isOver) && (left.Streams == 0 || streams.isOver) {
			d.releaseIdle(left)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.wake:
		case <-requests.timer.C:
			if requests.ring(d.request.CutRequests) {
				d.cut(false)
			}
		case <-streams.timer.C:
			if streams.ring(!d.request.KeepStreams) {
				d.cut(true)
			}
		}
	}
}

// checkWeights: a backend that gets new requests will never be idle.
func (d *drain) checkWeights() error {
	for _, b := range d.backends {
		if b.weight.Load() > 0 {
			return control.Refuse(control.CodeBusy, "set its weight to 0 first",
				"backend %q of route %q takes new requests", b.id, b.route)
		}
	}
	return nil
}

func (d *drain) inFlight() (sum control.InFlight) {
	for _, b := range d.backends {
		sum = sum.Add(b.inFlight())
	}
	return sum
}

// releaseIdle closes kept connections to backends that will be stopped now.
func (d *drain) releaseIdle(left control.InFlight) {
	if !left.IsZero() {
		return
	}
	for _, b := range d.backends {
		b.transport.CloseIdleConnections()
	}
}

func (d *drain) cut(streams bool) {
	d.server.connections.cut(func(target *backend, isStream bool) bool {
		return isStream == streams && slices.Contains(d.backends, target)
	})
}

func (d *drain) tally() (sum tally) {
	for _, b := range d.backends {
		// The cut ones first: they are counted last, and so never more than all.
		sum.cutRequests += b.counters.cutRequests.Load()
		sum.requests += b.counters.requests.Load()
		sum.cutStreams += b.counters.cutStreams.Load()
		sum.streams += b.counters.streams.Load()
	}
	return sum
}

func (d *drain) result() control.DrainResult {
	left, now := d.inFlight(), d.tally()
	result := control.DrainResult{Waited: time.Since(d.began)}
	result.Requests.Cut = now.cutRequests - d.before.cutRequests
	result.Requests.Finished = now.requests - d.before.requests - result.Requests.Cut
	result.Requests.Left = left.Requests
	result.Streams.Cut = now.cutStreams - d.before.cutStreams
	result.Streams.Finished = now.streams - d.before.streams - result.Streams.Cut
	result.Streams.Left = left.Streams
	for _, b := range d.backends {
		if last := b.counters.last(); last.After(result.LastFinished) {
			result.LastFinished = last
		}
	}
	return result
}

// clock is one of a drain's two: it rings, and where that means cutting, once more when what was cut should
// have ended.
type clock struct {
	timer     *time.Timer
	isSettled bool
	isOver    bool
}

func newClock(lasts time.Duration) *clock { return &clock{timer: time.NewTimer(lasts)} }

// ring is called when the timer fires; it reports whether to cut now.
func (c *clock) ring(isCutting bool) bool {
	if !isCutting || c.isSettled {
		c.isOver = true
		return false
	}
	c.isSettled = true
	c.timer.Reset(settleTime)
	return true
}

func (c *clock) stop() { c.timer.Stop() }
