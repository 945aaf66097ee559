package process

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

const (
	// patience is how long an observation waits for a probe. One that takes longer goes on by itself, and counts then:
	// an instance that hangs, often the very reason to go back, must not hold up the way back.
	patience = 200 * time.Millisecond
	// fresh is for how long a probe that passed says that the instance is healthy.
	fresh = time.Second
	// falls is how many probes in a row have to fail before a healthy instance counts as failing. One whose port
	// refuses, or whose process is gone, counts at once.
	falls = 3
)

// verdict is what the probes of an instance say.
type verdict struct {
	health  towpath.Health
	problem string    // the last answer, where it was no pass: also of one that still counts as passing
	since   time.Time // since when it has not been passing
}

// probers remember how the last probes of each instance ended.
type probers struct {
	closing context.Context
	running *sync.WaitGroup
	probe   probe
	mutex   *sync.Mutex
	known   map[string]*prober
}

func newProbers(closing context.Context, running *sync.WaitGroup, o Options) probers {
	return probers{
		closing: closing, running: running, probe: newProbe(o),
		mutex: new(sync.Mutex), known: make(map[string]*prober),
	}
}

// of answers an instance's prober. Where its process is another than before, what is known of it begins anew.
func (ps probers) of(e supervise.Entry) *prober {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	p, is := ps.known[e.Spec.Instance]
	if !is {
		p = &prober{all: ps, said: verdict{health: towpath.HealthUnknown, since: time.Now()}}
		ps.known[e.Spec.Instance] = p
	}
	p.meet(e)
	return p
}

// keep forgets instances that are gone.
func (ps probers) keep(instances []towpath.Instance) {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	there := make(map[string]bool, len(instances))
	for _, i := range instances {
		there[i.ID] = true
	}
	for id := range ps.known {
		if !there[id] {
			delete(ps.known, id)
		}
	}
}

// prober probes one instance, one try at a time.
type prober struct {
	all probers

	mutex    sync.Mutex
	entry    supervise.Entry
	said     verdict
	passes   int // in a row
	failures int // in a row
	counted  time.Time
	passedAt time.Time
	underWay chan struct{} // closed when the try that is under way has ended; nil while there is none
}

// meet takes what is known of the process now.
func (p *prober) meet(e supervise.Entry) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	another := p.entry.State.Child != (proc.Identity{}) && e.State.Child != (proc.Identity{}) &&
		p.entry.State.Child != e.State.Child
	if e.State.Child == (proc.Identity{}) {
		e.State.Child = p.entry.State.Child // to tell the next one from it
	}
	p.entry = e
	if !another {
		return
	}
	p.passes, p.failures, p.passedAt = 0, 0, time.Time{}
	if p.said.health == towpath.HealthPassing {
		p.said = verdict{health: towpath.HealthUnknown, problem: "it was started again", since: time.Now()}
	}
}

func (p *prober) verdict() verdict {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said
}

// look probes, unless a probe has just passed, and waits for at most so long.
func (p *prober) look(ctx context.Context, atMost time.Duration) {
	p.mutex.Lock()
	isFresh := p.said.health == towpath.HealthPassing && time.Since(p.passedAt) < fresh
	p.mutex.Unlock()
	if isFresh {
		return
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-p.try():
	case <-timer.C:
	case <-ctx.Done():
	}
}

// try begins a try, or joins the one under way. The channel is closed when it has ended.
func (p *prober) try() <-chan struct{} {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.underWay != nil {
		return p.underWay
	}
	done := make(chan struct{})
	p.underWay = done
	entry := p.entry
	p.all.running.Go(func() {
		defer close(done)
		err := p.all.probe.run(p.all.closing, entry)
		p.mutex.Lock()
		p.underWay = nil
		p.mutex.Unlock()
		if p.all.closing.Err() == nil {
			p.note(err, errors.Is(err, syscall.ECONNREFUSED))
		}
	})
	return done
}

// note counts how a try ended. Tries that follow each other faster than the definition's interval count once.
func (p *prober) note(failure error, isCertain bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	now := time.Now()
	counts := now.Sub(p.counted) >= p.all.probe.interval*9/10 // a tick may come early
	if failure == nil {
		p.pass(now, counts)
		return
	}
	if counts || p.failures == 0 || isCertain {
		p.failures, p.counted = p.failures+1, now
	}
	p.passes = 0
	wasPassing := p.said.health == towpath.HealthPassing
	p.said.problem = failure.Error()
	if wasPassing && p.failures < falls && !isCertain {
		return
	}
	if wasPassing {
		p.said.since = now
	}
	p.said.health = towpath.HealthFailing
}

func (p *prober) pass(now time.Time, counts bool) {
	if counts || p.passes == 0 {
		p.passes, p.counted = p.passes+1, now
	}
	p.failures, p.passedAt = 0, now
	switch {
	case p.passes >= p.all.probe.rises:
		p.said.health, p.said.problem = towpath.HealthPassing, ""
	case p.said.health == towpath.HealthFailing:
		p.said.health = towpath.HealthUnknown // on its way
	}
}
