package simulate

import (
	"errors"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
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
	o.from = p.keeper.host
	p.doubts(o)
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
			w.say(p.keeper.host.id, "%s: nobody hears what became of it: %s", p.key(), o)
			return
		}
		w.after(w.dice.between(100*time.Microsecond, 2*time.Millisecond), p.keeper.process, "", func() { answer(err) })
	}
	w.after(opPatience+limit(o.operation), p.keeper.process, "", func() { answer(&deploy.UnknownOutcome{Err: errNoWord}) })
	travels := w.dice.between(100*time.Microsecond, 5*time.Millisecond)
	switch {
	case p.endsWithLease(o) && p.keeper.steady()+orderTime > p.keeper.expires:
		w.after(travels, p.keeper.process, "", func() { answer(unheardError{errNoLease}) })
		return
	case w.fault(f.fails):
		w.after(travels, p.keeper.process, "", func() { answer(&deploy.Retryable{Err: errNotDone}) })
		return
	case w.fault(f.hangs):
		travels = w.dice.between(time.Second, opPatience-time.Second) // whoever gave it waits longer
	}
	end := p.keeper.expires
	w.after(travels, nil, "", func() {
		if p.endsWithLease(o) && p.keeper.steady() > end {
			return // it was cut
		}
		p.site.carryOut(o, tell)
	})
	if again := w.wiring.repeats; again > 0 && isShift(o) {
		w.after(travels+again, nil, "", func() { p.site.carryOut(o, func(error) {}) })
	}
}

// orderTime is how long a lease has to last for an order that nobody can refuse to be begun.
const orderTime = 5 * time.Second

var errNoLease = errors.New("the lease may be over before it is done")

// endsWithLease says that nobody refuses an order from a keeper that another has followed.
func (p *performer) endsWithLease(o order) bool {
	switch o.operation.(type) {
	case deploy.Shift, deploy.Forget, deploy.EndStreams:
		return !p.site.place.balancer.fences && !p.keeper.world.wiring.outlasts
	}
	return false
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
		tell(s.check(o, operation))
	case deploy.Start:
		if s.machine != nil {
			s.oneByOne(o, operation.Instances, tell)
			return
		}
		s.startTogether(o, operation.Instances, tell)
	case deploy.Probe:
		s.prove(o, operation, s.world.now+operation.Within, tell)
	case deploy.Drain:
		s.drain(operation, s.world.now+operation.Within, tell)
	case deploy.EndStreams:
		s.endStreams(o, operation, s.world.now+min(operation.Within, idlePace), tell)
	default:
		if s.machine == nil {
			tell(s.everywhere(o, deploy.InstancesOf(o.operation)))
			return
		}
		s.oneByOne(o, deploy.InstancesOf(o.operation), tell)
	}
}

// hearOf raises the epoch at both drivers, and on all machines that answer.
func (s *site) hearOf(o order) error {
	for _, b := range s.target.boxes {
		if err := b.reach(o.from); err != nil && s.machine == nil {
			continue
		} else if err != nil {
			return err
		}
		if err := b.fence.admit(s, b.name, o); err != nil {
			return err
		}
	}
	if s.balancer != nil {
		return s.balancer.admit(o)
	}
	return nil
}

// isHeardOf says that all that can be reached from a keeper's machine has heard of its epoch.
func (s *site) isHeardOf(e towpath.Epoch, from *host) bool {
	for _, b := range s.target.boxes {
		if b.isSeen(from) && b.fence.highest != e {
			return false
		}
	}
	return s.balancer == nil || !s.balancer.can.fences || s.balancer.fence.highest == e
}

// check sees that machines answer, and that there is room on them.
func (s *site) check(o order, operation deploy.Check) error {
	for _, b := range s.target.boxes {
		isNamed := slices.ContainsFunc(operation.Slots, func(slot string) bool { return slices.Contains(b.slots, slot) })
		if !isNamed && s.machine == nil {
			continue
		}
		if err := b.reach(o.from); err != nil {
			return err
		}
		if s.world.now < b.full {
			return &deploy.Retryable{Err: errFull}
		}
	}
	return nil
}

// everywhere does an order on all machines at once, whatever becomes of it on one. It answers the gravest error.
func (s *site) everywhere(o order, ids []string) (gravest error) {
	for _, id := range ids {
		err := s.target.act(o, id)
		if err == nil && s.world.fault(s.world.drawn.faults.fails/2) {
			err = &deploy.UnknownOutcome{Err: errNoWord}
		}
		if graveness(err) > graveness(gravest) {
			gravest = err
		}
	}
	return gravest
}

func graveness(err error) int {
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	switch {
	case err == nil:
		return 0
	case errors.As(err, &stale):
		return 3
	case errors.As(err, &permanent):
		return 2
	}
	return 1
}

// startTogether has all machines stage first, and then all change over at one moment.
func (s *site) startTogether(o order, ids []string, tell func(error)) {
	for _, id := range ids {
		i := s.target.find(id)
		if i == nil {
			tell(&deploy.Permanent{Err: errNotThere})
			return
		}
		err := i.box.reach(o.from)
		if err == nil {
			err = i.box.fence.admit(s, i.box.name, o)
		}
		if err != nil {
			tell(err)
			return
		}
	}
	s.world.after(s.world.dice.between(time.Millisecond, 500*time.Millisecond), nil, "", func() { tell(s.changeOver(o, ids)) })
}

// changeOver starts instances in the place of others. Where one cannot follow, those before it go back to what they had,
// unless they are cut off by then.
func (s *site) changeOver(o order, ids []string) error {
	w := s.world
	tenants := map[*instance]*instance{}
	for _, id := range ids {
		i := s.target.find(id)
		if i == nil || i.state == towpath.InstanceRunning {
			continue
		}
		err := i.box.reach(o.from)
		if err == nil {
			err = i.box.fence.admit(s, i.box.name, o)
		}
		if err == nil && w.fault(w.drawn.faults.fails/2) {
			err = &deploy.Retryable{Err: errNotDone}
		}
		if err != nil {
			s.goBack(tenants)
			return err
		}
		w.judge.stale(s, i.box.name, o)
		tenants[i] = s.target.takeOver(o, i)
	}
	return nil
}

// goBack undoes a change of instances.
func (s *site) goBack(tenants map[*instance]*instance) {
	for _, i := range slices.Clone(s.target.instances) {
		tenant, is := tenants[i]
		if !is || s.world.fault(0.2) {
			continue
		}
		s.world.say(i.box.name, "of %s goes back from %s", s.key, i.id)
		s.target.end(i)
		if tenant != nil {
			s.target.set(tenant, towpath.InstanceRunning)
		}
	}
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
func (s *site) prove(o order, operation deploy.Probe, until time.Duration, tell func(error)) {
	fine := true
	for _, id := range operation.Instances {
		i := s.target.find(id)
		if i == nil {
			tell(&deploy.Permanent{Err: errNotThere})
			return
		}
		fine = fine && i.fine && i.box.isSeen(o.from)
	}
	switch {
	case fine:
		tell(nil)
	case s.world.now >= until:
		tell(&deploy.Permanent{Err: errUnproved})
	default:
		s.world.after(100*time.Millisecond, nil, "", func() { s.prove(o, operation, until, tell) })
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
	if s.balancer.isIdle(o.Instances) || s.world.now >= until {
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
