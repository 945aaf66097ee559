package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	switchOver = 5   // ms that the whole way may take longer than the proxy's own orders
	settled    = 300 // answers that a load gives before a switch, and again after it
)

// moved is what one switch under load was like.
type moved struct {
	firstNew float64 // ms from the command until the first answer of the new release was complete
	lastOld  float64 // ms until the last one of the old release was
	command  float64 // ms until the command returned
}

// moves are all switches of one side.
type moves struct {
	firstNew, lastOld, command []float64
	requests, failed           int
	failure                    error // the last one
}

func (m *moves) add(one moved, answers []answered) {
	m.firstNew, m.lastOld = append(m.firstNew, one.firstNew), append(m.lastOld, one.lastOld)
	m.command = append(m.command, one.command)
	m.count(answers)
}

func (m *moves) count(answers []answered) {
	for _, a := range answers {
		m.requests++
		if a.failure != nil {
			m.failed++
			m.failure = a.failure
		}
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
	killOld(ctx context.Context, answers []answered) error
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
	whole, err := newWholeSide(ctx, s)
	if err != nil {
		return nil, err
	}
	var byRaw, byWhole moves
	for i := range s.rounds(10, 3) {
		s.say("switch: %d", i+1)
		if err := switchOnce(ctx, proxy.address, raw, &byRaw); err != nil {
			return nil, fmt.Errorf("switch by the proxy's orders: %w", err)
		}
		if err := switchOnce(ctx, proxy.address, whole, &byWhole); err != nil {
			return nil, fmt.Errorf("switch by the server: %w", err)
		}
	}
	figures := switchFigures(byRaw, byWhole)
	s.say("switch: what is long, across a switch")
	long, err := acrossASwitch(ctx, proxy, whole)
	figures = append(figures, long...)
	if err != nil {
		return figures, err
	}
	s.say("switch: the proxy restarts")
	restarts, err := restartUnderLoad(ctx, s, proxy, raw.host())
	return append(figures, restarts...), errors.Join(err, told(byRaw.failure), told(byWhole.failure))
}

func told(failure error) error {
	if failure == nil {
		return nil
	}
	return fmt.Errorf("the last request that failed: %w", failure)
}

// switchOnce moves the traffic under load, and kills the old instance the moment the command returns.
func switchOnce(ctx context.Context, address string, s side, all *moves) error {
	release, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	l := startLoad(address, s.host(), connections)
	defer l.end()
	if err := l.more(ctx, settled); err != nil {
		return err
	}
	began := time.Now()
	if err := s.move(ctx); err != nil {
		return err
	}
	returned := time.Now()
	if err := s.killOld(ctx, l.soFar()); err != nil {
		return err
	}
	if err := l.more(ctx, settled); err != nil {
		return err
	}
	answers := l.end()
	one := judge(answers, release, began)
	one.command = milliseconds(returned.Sub(began))
	all.add(one, answers)
	return nil
}

// judge finds the first answer of the new release and the last one of any other.
func judge(answers []answered, release string, began time.Time) moved {
	one := moved{firstNew: math.Inf(1)}
	for _, a := range answers {
		if a.failure != nil {
			continue
		}
		at := milliseconds(a.at.Sub(began))
		if a.release == release {
			one.firstNew = min(one.firstNew, at)
		} else {
			one.lastOld = max(one.lastOld, at)
		}
	}
	return one
}

func switchFigures(raw, whole moves) []Figure {
	const orders = "SetWeights and Drain"
	figure := func(name string, samples func(moves) []float64) Figure {
		return Figure{Name: name, Ours: median(samples(whole)), Unit: "ms", Reference: orders, Limit: median(samples(raw))}
	}
	first := figure("first answer of the new release", func(m moves) []float64 { return m.firstNew })
	last := figure("last answer of the old release", func(m moves) []float64 { return m.lastOld })
	command := figure("until the command returned", func(m moves) []float64 { return m.command })
	first.Goal, last.Goal = AtMost(first.Limit+switchOver), AtMost(last.Limit+switchOver)
	count := func(name string, n int, goal Goal) Figure {
		return Figure{Name: name, Ours: float64(n), Unit: "requests", Goal: goal}
	}
	return []Figure{
		first, last, command,
		count("failed, the old one killed as the command returned", whole.failed, AtMost(0)),
		count("of so many", whole.requests, Goal{}),
		count("failed, by "+orders+" alone", raw.failed, AtMost(0)),
		count("of so many, by "+orders+" alone", raw.requests, Goal{}),
	}
}
