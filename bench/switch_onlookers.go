package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/internal/load"
)

// onlookers are those who ask while traffic moves. None of them ever tries again.
type onlookers struct {
	asks   func(host string) load.Options // on 32 connections: it is their answers that are timed
	beside func(host string) load.Options // others, whose requests are counted apart; nil where there are none

	orders string // what the bare orders are called
	by     string // what figures of ours are by, where that is not the whole way
	others string // who asks beside

	// Why requests may fail, of those who are timed and of the others; empty where none may.
	unpromised, unpromisedToOthers string
}

var askedFor = []load.Target{{Path: "/", Digest: true}}

// kept is who asks on kept connections without a pause.
func kept(address string) func(host string) load.Options {
	return func(host string) load.Options {
		return load.Options{Address: address, Host: host, Targets: askedFor, Kept: connections, Timeout: patience, Label: releaseHeader}
	}
}

// anew is who connects anew for each request.
func anew(address string) func(host string) load.Options {
	return func(host string) load.Options {
		return load.Options{Address: address, Host: host, Targets: askedFor, Fresh: connections / 4, Timeout: patience, Label: releaseHeader}
	}
}

// measure switches by the bare orders and by ours, in turn. Bare orders that do not wait are looked at twice: for how long the way
// takes where nothing is lost on it, and for what is lost where the old one is killed as they return.
func (o onlookers) measure(ctx context.Context, s *stage, rounds int, raw, ours side) ([]Figure, error) {
	var byRaw, byOurs moves
	for i := range rounds {
		s.say("switch %d of %d", i+1, rounds)
		one, _, err := o.switches(ctx, raw, true)
		if err != nil {
			return nil, fmt.Errorf("switch by %s: %w", o.orders, err)
		}
		byRaw.time(one)
		_, sent, err := o.switches(ctx, raw, false)
		if err != nil {
			return nil, fmt.Errorf("switch by %s: %w", o.orders, err)
		}
		byRaw.countAll(sent)
		one, sent, err = o.switches(ctx, ours, false)
		if err != nil {
			return nil, fmt.Errorf("switch by ours: %w", err)
		}
		byOurs.time(one)
		byOurs.countAll(sent)
	}
	return o.figures(byRaw, byOurs), o.failure(byOurs)
}

// figures hold nobody to what is not promised, and say why it is not.
func (o onlookers) figures(raw, ours moves) []Figure {
	figures := timeFigures(o.orders, raw, ours)
	for n := range figures {
		figures[n].Name += o.by
	}
	figures = append(figures, o.tallied("", o.unpromised, raw.tally, ours.tally)...)
	if o.beside == nil {
		return figures
	}
	return append(figures, o.tallied(", of "+o.others, o.unpromisedToOthers, raw.beside, ours.beside)...)
}

func (o onlookers) tallied(of, unpromised string, raw, ours tally) []Figure {
	failed, goal := "failed, the old one killed as the command returned"+of+o.by, AtMost(0)
	if unpromised != "" {
		failed, goal = failed+"; not promised: "+unpromised, Goal{}
	}
	return []Figure{
		requests(failed, ours.failed, goal),
		requests("of so many"+of+o.by, ours.requests, Goal{}),
		requests("failed"+of+", by "+o.orders+" alone", raw.failed, Goal{}),
		requests("of so many"+of+", by "+o.orders+" alone", raw.requests, Goal{}),
	}
}

// failure says why a request failed of those of which none may.
func (o onlookers) failure(ours moves) error {
	var failures []error
	if o.unpromised == "" {
		failures = append(failures, ours.failure)
	}
	if o.unpromisedToOthers == "" {
		failures = append(failures, ours.beside.failure)
	}
	return errors.Join(failures...)
}

// audience is onlookers that have begun.
type audience []*load.Load

func (o onlookers) begin(ctx context.Context, host string) audience {
	all := audience{load.Start(ctx, o.asks(host))}
	if o.beside != nil {
		all = append(all, load.Start(ctx, o.beside(host)))
	}
	return all
}

func (a audience) settle(ctx context.Context) error {
	for _, l := range a {
		if err := settle(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// sees waits until all of them have answers of a release, and some more after that.
func (a audience) sees(ctx context.Context, release string) error {
	err := until(ctx, "answers of release "+release, func() (bool, error) {
		for _, l := range a {
			if l.Sides()[release].Answers == 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return a.settle(ctx)
}

func (a audience) stop() (reports []load.Report) {
	for _, l := range a {
		reports = append(reports, l.Stop())
	}
	return reports
}

// switches moves the traffic under load. The old instance is killed the moment the command returns, or, if it is let live, when
// nobody has answers of it any more.
func (o onlookers) switches(ctx context.Context, s side, letsLive bool) (one moved, sent []load.Report, err error) {
	release, err := s.prepare(ctx)
	if err != nil {
		return one, nil, err
	}
	all := o.begin(ctx, s.host())
	defer all.stop()
	if err := all.settle(ctx); err != nil {
		return one, nil, err
	}
	for _, l := range all[1:] {
		l.Mark()
	}
	began := all[0].Mark()
	if err := s.move(ctx); err != nil {
		return one, nil, err
	}
	one.command = since(began, time.Now())
	if letsLive {
		if err := all.sees(ctx, release); err != nil {
			return one, nil, err
		}
	}
	if err := s.killOld(); err != nil {
		return one, nil, err
	}
	if err := all.sees(ctx, release); err != nil {
		return one, nil, err
	}
	one.firstNew, one.lastOld = between(all[0].Sides(), release, began)
	return one, all.stop(), nil
}
