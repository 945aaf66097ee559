package probe

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath"
)

const (
	// Patience is how long an observation waits for a probe. One that takes longer goes on by itself, and counts then: an
	// instance that hangs, often the very reason to go back, must not hold up the way back.
	Patience = 200 * time.Millisecond
	// FirstPace is how soon an instance that has just been started is tried again.
	FirstPace = 5 * time.Millisecond
	// fresh is for how long a probe that passed says that the instance is healthy. It is the pace of probes while nobody
	// looks, and what a slow one of them takes.
	fresh = vigilPace + vigilPace/4
	// falls is how many probes in a row have to fail before a healthy instance counts as failing. One whose port
	// refuses, or whose process is gone, counts at once.
	falls = 3
)

// Options are what probers are opened with.
type Options struct {
	Definition towpath.EnvironmentDefinition
	Dial       Dial // nil dials from this machine
}

// Verdict is what the probes of an instance say.
type Verdict struct {
	Health  towpath.Health
	Problem string    // the last answer, where it was no pass: also of one that still counts as passing
	Since   time.Time // since when it has not been passing
	Silent  bool      // nobody answered the last try, neither well nor badly
}

// Probers remember how the last probes of each instance ended.
type Probers struct {
	closing context.Context
	close   context.CancelFunc
	running sync.WaitGroup
	probe   probe
	mutex   sync.Mutex
	known   map[string]*Prober
}

// New opens probers that know nothing yet, and that keep a vigil where the definition asks for one.
func New(o Options) *Probers {
	ps := &Probers{probe: newProbe(o), known: make(map[string]*Prober)}
	ps.closing, ps.close = context.WithCancel(context.Background())
	if isVigilant(o.Definition) {
		ps.running.Go(ps.keepVigil)
	}
	return ps
}

// Close cuts the tries that are under way, and waits for their end.
func (ps *Probers) Close() {
	ps.close()
	ps.running.Wait()
}

// Interval lies between two tries, as the definition has it.
func (ps *Probers) Interval() time.Duration { return ps.probe.interval }

// Of answers an instance's prober. Where its process is another than before, what is known of it begins anew.
func (ps *Probers) Of(s Subject) *Prober {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	p, is := ps.known[s.Instance]
	if !is {
		p = &Prober{all: ps, said: Verdict{Health: towpath.HealthUnknown, Since: time.Now()}}
		ps.known[s.Instance] = p
	}
	p.meet(s)
	return p
}

// Keep forgets instances that are gone, or stopped: those prove themselves anew.
func (ps *Probers) Keep(instances []towpath.Instance) {
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

// Prober probes one instance, one try at a time.
type Prober struct {
	all *Probers

	mutex    sync.Mutex
	subject  Subject
	said     Verdict
	passes   int // in a row
	failures int // in a row
	counted  time.Time
	passedAt time.Time
	triedAt  time.Time
	underWay chan struct{} // closed when the try that is under way has ended; nil while there is none
}

// meet takes what is known of the process now.
func (p *Prober) meet(s Subject) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	another := p.subject.Process != "" && s.Process != "" && p.subject.Process != s.Process
	s.Process = cmp.Or(s.Process, p.subject.Process) // to tell the next one from it
	p.subject = s
	if !another {
		return
	}
	p.passes, p.failures, p.passedAt = 0, 0, time.Time{}
	if p.said.Health == towpath.HealthPassing {
		p.said = Verdict{Health: towpath.HealthUnknown, Problem: "it was started again", Since: time.Now()}
	}
}

// Verdict answers what the tries so far say.
func (p *Prober) Verdict() Verdict {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said
}

// Look probes, unless a probe has just passed, and waits until the try is so old at most.
func (p *Prober) Look(ctx context.Context, atMost time.Duration) {
	if p.isFresh() {
		return
	}
	tried, began := p.Try()
	timer := time.NewTimer(time.Until(began.Add(atMost)))
	defer timer.Stop()
	select {
	case <-tried:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p *Prober) isFresh() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said.Health == towpath.HealthPassing && time.Since(p.passedAt) < fresh
}

// Try begins a try, or joins the one under way. It answers when that began; the channel is closed when it has ended.
func (p *Prober) Try() (ended <-chan struct{}, began time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.underWay != nil {
		return p.underWay, p.triedAt
	}
	done := make(chan struct{})
	p.underWay, p.triedAt = done, time.Now()
	subject := p.subject
	p.all.running.Go(func() {
		defer close(done)
		err := p.all.probe.run(p.all.closing, subject)
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.underWay = nil
		isOfAnother := p.subject.Process != subject.Process // it was started again meanwhile
		if p.all.closing.Err() == nil && !isOfAnother {
			p.count(err, errors.Is(err, syscall.ECONNREFUSED))
		}
	})
	return done, p.triedAt
}

// Note counts what is known without a try.
func (p *Prober) Note(failure error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.count(failure, true)
}

// count counts how a try ended. Tries that follow each other faster than the definition's interval count once.
func (p *Prober) count(failure error, isCertain bool) {
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
	wasPassing := p.said.Health == towpath.HealthPassing
	p.said.Problem = failure.Error()
	p.said.Silent = isSilent(failure)
	if wasPassing && p.failures < falls && !isCertain {
		return
	}
	if wasPassing {
		p.said.Since = now
	}
	p.said.Health = towpath.HealthFailing
}

func (p *Prober) pass(now time.Time, counts bool) {
	if counts || p.passes == 0 {
		p.passes, p.counted = p.passes+1, now
	}
	p.failures, p.passedAt, p.said.Silent = 0, now, false
	switch {
	case p.passes >= p.all.probe.rises:
		p.said.Health, p.said.Problem = towpath.HealthPassing, ""
	case p.said.Health == towpath.HealthFailing:
		p.said.Health = towpath.HealthUnknown // on its way
	}
}

// HasPassed says that its last try did.
func (p *Prober) HasPassed() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.passes > 0
}
