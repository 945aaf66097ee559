package simulate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// box is a machine that instances run on: their keeper's own, or a host that keepers reach over a network. It knows the
// highest epoch that gave an order there.
type box struct {
	world *world
	name  string
	clock *clock
	slots []string // none where the target makes them
	fence fence
	busy  time.Duration            // until then it does nothing that it is told
	dead  time.Duration            // until then it answers nobody
	cut   map[string]time.Duration // by machine: until then it does not hear the keeper there
	full  time.Duration            // until then nothing can be written
	slow  time.Duration            // until then it answers late, or too late

	unheard map[string][]spell // by machine: in which nothing here answered the keeper there
}

func boxName(n int) string { return fmt.Sprintf("web%d", n+1) }

// newHosts are the machines of an environment whose slots are fixed.
func (w *world) newHosts(p place) (boxes []*box) {
	for n := range p.hosts {
		b := &box{
			world: w, name: boxName(n), clock: w.newClock(), slots: []string{boxName(n)},
			cut: map[string]time.Duration{}, unheard: map[string][]spell{},
		}
		if p.slots > 1 {
			b.slots = []string{b.name + "/blue", b.name + "/green"}
		}
		boxes = append(boxes, b)
	}
	return boxes
}

func (b *box) isDead() bool { return b.world.now < b.dead }

var (
	errAway = errors.New("the host does not answer")
	errFull = errors.New("the host's disk is full")
)

// reach is the way to the box from a keeper's machine.
func (b *box) reach(from *host) error {
	w := b.world
	switch {
	case w.now < b.busy:
		return &deploy.Retryable{Err: errNotDone}
	case !b.isSeen(from), w.now < b.slow && w.dice.chance(0.3):
		return &deploy.Retryable{Err: errAway}
	}
	return nil
}

// isSeen says that a look from a keeper's machine may reach it.
func (b *box) isSeen(from *host) bool { return !b.isDead() && b.world.now >= b.cut[from.id] }

// address is where whoever runs in a slot answers.
func (b *box) address(slot string) string {
	for n, s := range b.slots {
		if s == slot && len(b.slots) == 1 {
			return b.name + ":8000"
		} else if s == slot {
			return fmt.Sprintf("%s:%d", b.name, 8001+n)
		}
	}
	return ""
}

// trouble is what befalls the machines of an environment by itself.
func (s *site) trouble() {
	w, f := s.world, s.world.drawn.faults
	w.every(500*time.Millisecond, 1500*time.Millisecond, nil, func() {
		for _, i := range s.target.instances {
			if i.state == towpath.InstanceRunning && w.fault(f.breaks) {
				s.target.harm(i)
			}
		}
		if s.machine == nil {
			for _, b := range s.target.boxes {
				s.befall(b)
			}
		}
	})
}

func (s *site) befall(b *box) {
	w, f := s.world, s.world.drawn.faults
	until := w.now + w.dice.between(2*time.Second, 40*time.Second)
	if w.fault(f.away) && w.now > b.dead {
		if w.dice.chance(0.5) {
			s.kill(b, until)
		} else {
			from := pick(w.dice, w.hosts...)
			b.cut[from.id] = until
			b.cutOff(from.id, until)
			w.say(b.name, "of %s is cut off from %s until %s", s.key, from.id, until.Round(time.Second))
		}
	}
	if w.fault(f.restarts) {
		s.kill(b, w.now+time.Second)
	}
	if w.fault(f.fills) {
		b.full = until
		w.say(b.name, "of %s has a full disk until %s", s.key, until.Round(time.Second))
	}
	if w.fault(f.slows) {
		b.slow = until
		w.say(b.name, "of %s answers late until %s", s.key, until.Round(time.Second))
	}
}

// kill has a machine answer nobody for a while. It comes back with what it had, and what ran there comes up again.
func (s *site) kill(b *box, until time.Duration) {
	w := s.world
	b.dead = until
	for _, from := range w.hosts {
		b.cutOff(from.id, until)
	}
	w.say(b.name, "of %s is gone until %s", s.key, until.Round(time.Second))
	for _, i := range s.target.on(b) {
		if i.isStarted() {
			s.target.refresh(i)
			s.cut(i)
		}
	}
	w.after(until-w.now, nil, "", func() {
		if b.dead == until { // it was neither mended nor lost again
			s.revive(b)
		}
	})
}

func (s *site) revive(b *box) {
	s.world.say(b.name, "of %s is back", s.key)
	for _, i := range s.target.on(b) {
		if i.isStarted() {
			s.target.set(i, towpath.InstanceRunning)
		}
	}
}

// mend ends what is wrong with the machines of an environment. One of them may come back a while after all else is well.
func (s *site) mend() {
	late := s.lost()
	for _, b := range s.target.boxes {
		b.clock.right()
		b.busy, b.full, b.slow = 0, 0, 0
		clear(b.cut)
		if b.isDead() && b != late {
			b.dead = 0
			s.revive(b)
		}
	}
	if s.balancer != nil {
		s.balancer.blind = 0
	}
	for _, i := range s.target.instances {
		i.broken = false
		s.target.refresh(i)
	}
}

// lost is the machine that stays away for a while, if there is one.
func (s *site) lost() *box {
	w := s.world
	if s.machine != nil || !w.dice.chance(w.drawn.faults.straggles) {
		return nil
	}
	b := pick(w.dice, s.target.boxes...)
	s.kill(b, w.now+w.dice.between(10*time.Second, 4*time.Minute))
	return b
}

// on are the instances of a machine.
func (t *target) on(b *box) []*instance {
	return slices.DeleteFunc(slices.Clone(t.instances), func(i *instance) bool { return i.box != b })
}
