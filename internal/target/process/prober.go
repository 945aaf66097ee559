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
	// fresh is for how long a probe that passed says that the instance is healthy. It is the pace of probes while nobody
	// looks, and what a slow one of them takes.
	fresh = vigilPace + vigilPace/4
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

// keep forgets instances that are gone, or stopped: those prove themselves anew.
func (ps probers) keep(instances []towpath.Instance) {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	there := make(map[string]bool, len(instances))
	for _, i := range instances {
		there[i.ID] = i.State != towpath.InstanceStopped
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
	triedAt  time.Time
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

// look probes, unless a probe has just passed, and waits until the try is so old at most.
func (p *prober) look(ctx context.Context, atMost time.Duration) {
	if p.isFresh() {
		return
	}
	tried, began := p.try()
	timer := time.NewTimer(time.Until(began.Add(atMost)))
	defer timer.Stop()
	select {
	case <-tried:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p *prober) isFresh() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said.health == towpath.HealthPassing && time.Since(p.passedAt) < fresh
}

// try begins a try, or joins the one under way. It answers when that began; the channel is closed when it has ended.
func (p *prober) try() (ended <-chan struct{}, began time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.underWay != nil {
		return p.underWay, p.triedAt
	}
	done := make(chan struct{})
	p.underWay, p.triedAt = done, time.Now()
	entry := p.entry
	p.all.running.Go(func() {
		defer close(done)
		err := p.all.probe.run(p.all.closing, entry)
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.underWay = nil
		isOfAnother := p.entry.State.Child != entry.State.Child // it was started again meanwhile
		if p.all.closing.Err() == nil && !isOfAnother {
			p.count(err, errors.Is(err, syscall.ECONNREFUSED))
		}
	})
	return done, p.triedAt
}

// note counts what is known without a try.
func (p *prober) note(failure error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.count(failure, true)
}

// count counts how a try ended. Tries that follow each other faster than the definition's interval count once.
func (p *prober) count(failure error, isCertain bool) {
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
