package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/towpath-cd/towpath/internal/load"
)

const (
	switchOver = 5  // ms that the whole way may take longer than the balancer's own orders
	settled    = 10 // answers that each connection gets before a switch, and again after it
)

// moved is what one switch under load was like.
type moved struct {
	firstNew float64 // ms from the command until the first answer of the new release was complete
	lastOld  float64 // ms until the last one of the old release was
	command  float64 // ms until the command returned
}

// tally is what became of the requests of some.
type tally struct {
	requests, failed int
	failure          error // the last one
}

func (t *tally) count(sent load.Report) {
	t.requests, t.failed = t.requests+sent.Requests, t.failed+sent.Failed
	for _, f := range sent.Failures {
		t.failure = fmt.Errorf("the last request that failed, of %s at %s: %s", f.Path, f.At.Format(time.TimeOnly), f.Reason)
	}
}

// moves are all switches of one side.
type moves struct {
	firstNew, lastOld, command []float64
	tally                      // of those who are timed
	beside                     tally
}

func (m *moves) time(one moved) {
	m.firstNew, m.lastOld = append(m.firstNew, one.firstNew), append(m.lastOld, one.lastOld)
	m.command = append(m.command, one.command)
}

func (m *moves) countAll(sent []load.Report) {
	m.count(sent[0])
	for _, others := range sent[1:] {
		m.beside.count(others)
	}
}

// side is what can be switched under load.
type side interface {
	// host is whom the load asks.
	host() string
	// prepare has the next release ready, and answers its number as it tells it.
	prepare(ctx context.Context) (release string, err error)
	// move moves all traffic to it, and answers when nothing needs the old one any more.
	move(ctx context.Context) error
	// killOld ends the old instance at once.
	killOld() error
}

// measureSwitch moves traffic by a server's deployments and rollbacks, and by the bare orders to the proxy, in turn.
func measureSwitch(ctx context.Context, s *stage) ([]Figure, error) {
	proxy, err := s.startProxy(ctx, "")
	if err != nil {
		return nil, err
	}
	raw, err := newRawSide(ctx, s, proxy)
	if err != nil {
		return nil, err
	}
	whole, err := newWholeSide(ctx, s, behindProxy)
	if err != nil {
		return nil, err
	}
	var byRaw, byWhole moves
	for i := range s.rounds(30, 3) {
		s.say("switch: %d", i+1)
		if err := switchOnce(ctx, proxy.address, raw, &byRaw); err != nil {
			return nil, fmt.Errorf("switch by the proxy's orders: %w", err)
		}
		if err := switchOnce(ctx, proxy.address, whole, &byWhole); err != nil {
			return nil, fmt.Errorf("switch by the server: %w", err)
		}
	}
	figures := switchFigures("SetWeights and Drain", byRaw, byWhole)
	s.say("switch: what is long, across a switch")
	long, err := acrossASwitch(ctx, proxy, whole)
	figures = append(figures, long...)
	if err != nil {
		return figures, err
	}
	s.say("switch: the proxy restarts")
	restarts, err := restartUnderLoad(ctx, s, proxy, raw.host())
	return append(figures, restarts...), errors.Join(err, byRaw.failure, byWhole.failure)
}

// startLoad asks on 32 connections without a pause.
func startLoad(ctx context.Context, address, host string) *load.Load {
	return load.Start(ctx, kept(address)(host))
}

// settle waits until every connection has had some answers more.
func settle(ctx context.Context, l *load.Load) error {
	for range settled {
		if err := l.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// switchOnce moves the traffic under load, and kills the old instance the moment the command returns.
func switchOnce(ctx context.Context, address string, s side, all *moves) error {
	one, sent, err := onlookers{asks: kept(address)}.switches(ctx, s, false)
	if err == nil {
		all.time(one)
		all.countAll(sent)
	}
	return err
}

// between finds the first answer of the new release and the last one of any other.
func between(sides map[string]load.Side, release string, began time.Time) (firstNew, lastOld float64) {
	firstNew = math.Inf(1)
	for name, side := range sides {
		if name == release {
			firstNew = since(began, side.First)
		} else {
			lastOld = max(lastOld, since(began, side.Last))
		}
	}
	return firstNew, lastOld
}

func since(began, at time.Time) float64 { return milliseconds(at.Sub(began)) }

// switchFigures are those of the whole way, beside the bare orders.
func switchFigures(orders string, raw, whole moves) []Figure {
	return append(timeFigures(orders, raw, whole),
		requests("failed, the old one killed as the command returned", whole.failed, AtMost(0)),
		requests("of so many", whole.requests, Goal{}),
		requests("failed, by "+orders+" alone", raw.failed, AtMost(0)),
		requests("of so many, by "+orders+" alone", raw.requests, Goal{}),
	)
}

func timeFigures(orders string, raw, whole moves) []Figure {
	figure := func(name string, samples func(moves) []float64) Figure {
		return Figure{Name: name, Ours: median(samples(whole)), Unit: "ms", Reference: orders, Limit: median(samples(raw))}
	}
	first := figure("first answer of the new release", func(m moves) []float64 { return m.firstNew })
	last := figure("last answer of the old release", func(m moves) []float64 { return m.lastOld })
	command := figure("until the command returned", func(m moves) []float64 { return m.command })
	first.Goal, last.Goal = AtMost(first.Limit+switchOver), AtMost(last.Limit+switchOver)
	return []Figure{first, last, command}
}

func requests(name string, n int, goal Goal) Figure {
	return Figure{Name: name, Ours: float64(n), Unit: "requests", Goal: goal}
}
