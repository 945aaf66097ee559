package simulate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
)

// keepWait is how long the server keeps a keeper waiting: a little more than half a lease, so that each call renews it.
const keepWait = 6500 * time.Millisecond

// unknownSerial has the server tell an order again.
const unknownSerial = -1

// keeper looks after environments, as its page in the architecture says: it observes, plans, performs up to the next
// barrier and reports. It remembers nothing when it dies.
type keeper struct {
	*process
	world      *world
	host       *host
	who        towpath.Worker
	holder     string // new each time that it starts
	isUp       bool   // the server answered last
	expires    time.Duration
	performers []*performer // in the order in which they came
	calls      int          // the poll under way is the last of them
}

func (k *keeper) begin() {
	k.start()
	k.holder = fmt.Sprintf("%s.%d", k.host.id, k.life)
	k.isUp, k.performers = false, nil
	k.world.say(k.name, "starts as %s", k.holder)
	k.poll()
}

// fall is the keeper's death. It comes back, and takes what it kept.
func (k *keeper) fall(why string) {
	k.world.say(k.name, "dies %s", why)
	k.die()
	k.world.after(k.world.dice.between(100*time.Millisecond, 15*time.Second), nil, "", func() {
		if !k.up && k.host.keeper == k {
			k.begin()
		}
	})
}

// freeze stops the keeper's process, for longer than a lease or shorter. Meanwhile another may be started in its place:
// then the frozen one goes on later as if nothing had happened.
func (k *keeper) freeze() {
	w := k.world
	lasts := w.dice.between(time.Second, 25*time.Second)
	k.frozen = w.now + lasts
	w.say(k.name, "freezes for %s", lasts.Round(time.Millisecond))
	if !w.fault(w.drawn.faults.double) {
		return
	}
	w.after(w.dice.between(0, lasts), nil, "", func() {
		if k.host.keeper != k || w.calm {
			return
		}
		successor := &keeper{process: &process{name: k.name + "'", clock: k.clock, life: k.life + 100}, world: w, host: k.host, who: k.who}
		k.host.keeper = successor
		successor.begin()
		w.after(w.dice.between(lasts, 2*lasts), nil, "", k.die) // whoever started the second one ends the first
	})
}

// answerKept is the server's answer with its time.
type answerKept struct {
	flow.Keeping
	now time.Time
}

// poll renews the leases and hears what is new, again and again.
func (k *keeper) poll() {
	s := k.world.server
	k.calls++
	this := k.calls
	kept := k.kept()
	k.world.send(call{
		from: k.process, what: "keeps", topic: flow.TopicKeepers, atMost: keepWait,
		serve: func(ctx context.Context) (any, error) {
			keeping, err := s.rounds.KeepNow(ctx, k.who, k.holder, kept)
			if err == nil {
				s.world.judge.ordered(k, environmentsOf(keeping.Orders))
			}
			return answerKept{keeping, s.wall()}, err
		},
		isHeld: func(said any) bool {
			answer := said.(answerKept)
			return len(answer.Orders)+len(answer.Lost) == 0
		},
		done: func(said any, err error) {
			if this != k.calls {
				return // a newer one is under way
			}
			if err != nil {
				k.isUp = false
				k.world.after(k.world.dice.between(500*time.Millisecond, 2*time.Second), k.process, "", k.poll)
				return
			}
			k.hear(said.(answerKept))
			k.poll()
		},
	})
}

func environmentsOf(orders []flow.Order) []towpath.Environment {
	var environments []towpath.Environment
	for _, o := range orders {
		environments = append(environments, o.Environment)
	}
	return environments
}

// kick asks the server again at once.
func (k *keeper) kick() { k.world.after(time.Millisecond, k.process, "", k.poll) }

// kept is what the server need not tell again.
func (k *keeper) kept() []flow.Kept {
	var kept []flow.Kept
	for _, p := range k.performers {
		known := flow.Kept{Environment: p.key(), Serial: p.order.Environment.Serial, Observed: p.observed}
		if own := p.order.Environment.Epoch; own.Number > known.Observed.Number {
			known.Observed = own // a server that was restored may not know it
		}
		if p.isStale || !k.isUp {
			known.Serial = unknownSerial
		}
		kept = append(kept, known)
	}
	return kept
}

// hear hands out what the server answered.
func (k *keeper) hear(answer answerKept) {
	isBack := !k.isUp
	k.isUp = true
	k.expires = k.steady() + answer.Expires.Sub(answer.now)
	for _, key := range answer.Lost {
		k.performers = slices.DeleteFunc(k.performers, func(p *performer) bool {
			p.isOver = p.isOver || p.key() == key
			return p.key() == key
		})
	}
	for _, order := range answer.Orders {
		p := k.performerOf(order.Environment.Key)
		if p == nil {
			p = &performer{keeper: k, site: k.host.siteOf(order.Environment.Key), sights: map[*box]*sight{}}
			p.take(order, answer.now)
			k.performers = append(k.performers, p)
			k.world.say(k.name, "takes %s as %s", p.key(), order.Environment.Epoch)
			p.again(0)
			continue
		}
		if p.accept(order, answer.now, false) {
			p.wake()
		}
	}
	if isBack {
		for _, p := range k.performers {
			p.wake()
		}
	}
}

func (k *keeper) performerOf(key string) *performer {
	for _, p := range k.performers {
		if p.key() == key {
			return p
		}
	}
	return nil
}

// mayBegin says that the server answers and the lease is not over, by the machine's own clock.
func (k *keeper) mayBegin() bool { return k.isUp && k.steady() < k.expires }
