package simulate

import (
	"errors"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// opPatience is how long a keeper waits for an operation that should be done at once.
const opPatience = 10 * time.Second

var (
	errNotDone = errors.New("the machine does not answer")
	errNoWord  = errors.New("nobody knows whether it was done")
)

// give sends an order to whoever carries it out. It may never arrive, arrive late, be done without a word, or hang. The
// order goes its way whatever becomes of the keeper.
func (p *performer) give(o order, done func(error)) {
	w, f := p.keeper.world, p.keeper.world.drawn.faults
	turn := p.turn
	answered := false
	answer := func(err error) {
		if answered || p.turn != turn || p.isOver {
			return
		}
		answered = true
		done(err)
	}
	tell := func(err error) {
		if w.fault(f.unknown) {
			w.say(p.site.host.id, "%s: nobody hears what became of it: %s", p.key(), o)
			return
		}
		w.after(w.dice.between(100*time.Microsecond, 2*time.Millisecond), p.keeper.process, "", func() { answer(err) })
	}
	w.after(opPatience+limit(o.operation), p.keeper.process, "", func() { answer(&deploy.UnknownOutcome{Err: errNoWord}) })
	travels := w.dice.between(100*time.Microsecond, 5*time.Millisecond)
	switch {
	case w.fault(f.fails) || w.now < p.site.host.outage:
		w.after(travels, p.keeper.process, "", func() { answer(&deploy.Retryable{Err: errNotDone}) })
		return
	case w.fault(f.hangs):
		travels = w.dice.between(time.Second, opPatience-time.Second) // whoever gave it waits longer
	}
	w.after(travels, nil, "", func() { p.site.carryOut(o, tell) })
	if again := w.wiring.repeats; again > 0 && isShift(o) {
		w.after(travels+again, nil, "", func() { p.site.carryOut(o, func(error) {}) })
	}
}

// limit is how long an operation may take by itself.
func limit(o deploy.Operation) time.Duration {
	switch o := o.(type) {
	case deploy.Probe:
		return o.Within
	case deploy.Drain:
		return o.Within
	case deploy.EndStreams:
		return o.Within
	}
	return 0
}

// carryOut does an order, an instance at a time.
func (s *site) carryOut(o order, tell func(error)) {
	if o.operation == nil {
		tell(s.hearOf(o))
		return
	}
	switch operation := o.operation.(type) {
	case deploy.Shift, deploy.Forget:
		tell(s.balancer.act(o))
	case deploy.Check:
		tell(nil)
	case deploy.Probe:
		s.prove(operation, s.world.now+operation.Within, tell)
	case deploy.Drain:
		s.drain(operation, s.world.now+operation.Within, tell)
	case deploy.EndStreams:
		s.endStreams(o, operation, s.world.now+min(operation.Within, idlePace), tell)
	default:
		s.oneByOne(o, deploy.InstancesOf(o.operation), tell)
	}
}

// hearOf raises the epoch at both drivers.
func (s *site) hearOf(o order) error {
	err := s.target.fence.admit(s, "target", o)
	if err == nil && s.balancer != nil {
		err = s.balancer.fence.admit(s, "balancer", o)
	}
	return err
}

// oneByOne may end in the middle.
func (s *site) oneByOne(o order, ids []string, tell func(error)) {
	w := s.world
	if len(ids) == 0 {
		tell(nil)
		return
	}
	if err := s.target.act(o, ids[0]); err != nil {
		tell(err)
		return
	}
	if w.fault(w.drawn.faults.fails) {
		tell(&deploy.Retryable{Err: errNotDone})
		return
	}
	w.after(w.dice.between(time.Millisecond, 200*time.Millisecond), nil, "", func() { s.oneByOne(o, ids[1:], tell) })
}

// prove waits until all instances answer their probe.
func (s *site) prove(o deploy.Probe, until time.Duration, tell func(error)) {
	fine := true
	for _, id := range o.Instances {
		i := s.target.find(id)
		if i == nil {
			tell(&deploy.Permanent{Err: errNotThere})
			return
		}
		fine = fine && i.fine
	}
	switch {
	case fine:
		tell(nil)
	case s.world.now >= until:
		tell(&deploy.Permanent{Err: errUnproved})
	default:
		s.world.after(100*time.Millisecond, nil, "", func() { s.prove(o, until, tell) })
	}
}

// drain waits for requests.
func (s *site) drain(o deploy.Drain, until time.Duration, tell func(error)) {
	for _, id := range o.Instances {
		if m := s.balancer.find(id); m != nil && m.weight > 0 {
			tell(&deploy.Retryable{Err: errHasTraffic})
			return
		}
	}
	if requests, _ := s.balancer.inFlight(o.Instances); requests == 0 || s.world.now >= until {
		tell(nil)
		return
	}
	s.world.after(50*time.Millisecond, nil, "", func() { s.drain(o, until, tell) })
}

// endStreams waits for streams. Where it was asked to wait long it is cut, and asked again with what is left.
func (s *site) endStreams(o order, operation deploy.EndStreams, until time.Duration, tell func(error)) {
	_, streams := s.balancer.inFlight(operation.Instances)
	if streams > 0 && s.world.now < until {
		s.world.after(100*time.Millisecond, nil, "", func() { s.endStreams(o, operation, until, tell) })
		return
	}
	err := s.balancer.act(o)
	if err == nil && operation.Within <= idlePace {
		s.balancer.closeStreams(operation.Instances)
	}
	tell(err)
}
