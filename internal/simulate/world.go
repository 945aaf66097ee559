package simulate

import (
	"container/heap"
	"context"
	"io"
	"time"
)

// mostEvents is more than any story needs: one that long goes in a circle.
const mostEvents = 60_000

// world is a story while it is told. It has one thread: events, in the order of their times.
type world struct {
	ctx    context.Context
	dice   dice
	drawn  scenario
	wiring wiring
	now    time.Duration // since the story began, by no clock of the world
	queue  events
	added  int
	told   int
	calm   bool // nothing goes wrong any more
	script *script
	judge  *judge

	server     *server
	repository *repository
	hosts      []*host
	sites      []*site // in the order in which they came into being
	people     *people
	receiver   *receiver
}

// event is something that will happen. What a process was about to do does not happen when that has died.
type event struct {
	at    time.Duration
	order int
	owner *process // nil: nobody's, it happens in any case
	life  int
	what  string // for the script; empty is not worth a line
	do    func()

	arrives bool // it is a message to the server
}

// events is a heap, the next one first.
type events []*event

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(*event)) }

// Pop is heap.Interface.
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// after lets something happen once so much time has passed.
func (w *world) after(d time.Duration, owner *process, what string, do func()) *event {
	e := &event{at: w.now + d, order: w.added, owner: owner, what: what, do: do}
	if owner != nil {
		e.life = owner.life
	}
	w.added++
	heap.Push(&w.queue, e)
	return e
}

// every lets something happen again and again, as long as its owner lives.
func (w *world) every(low, high time.Duration, owner *process, do func()) {
	w.after(w.dice.between(low, high), owner, "", func() {
		do()
		w.every(low, high, owner, do)
	})
}

// fault says whether something goes wrong now that goes wrong so often.
func (w *world) fault(often float64) bool { return !w.calm && w.dice.chance(often) }

// say adds a line to the script.
func (w *world) say(who, format string, args ...any) { w.script.add(w.now, who, format, args...) }

// leap lets a time pass in which nobody does anything, as when all machines sleep.
func (w *world) leap(d time.Duration) {
	w.now += d
	w.say("world", "sleeps for %s", d)
}

// step lets the next event happen.
func (w *world) step() {
	e := heap.Pop(&w.queue).(*event)
	w.now = max(w.now, e.at)
	if e.owner != nil {
		switch {
		case !e.owner.up || e.owner.life != e.life:
			return
		case e.owner.frozen > w.now:
			e.at = e.owner.frozen
			heap.Push(&w.queue, e)
			return
		}
	}
	if e.what != "" {
		name := "world"
		if e.owner != nil {
			name = e.owner.name
		}
		w.say(name, "%s", e.what)
	}
	w.told++
	e.do()
	w.server.settle()
	w.judge.look()
}

// tell tells the story: trouble, then calm, until everything has come to rest. It ends at the first broken promise.
func (w *world) tell() error {
	for !w.judge.isOver() {
		switch {
		case w.told > mostEvents:
			w.judge.breaks(ends, "there is no end: %d events in %s", w.told, w.now)
		case w.ctx.Err() != nil:
			return context.Cause(w.ctx)
		case !w.calm && w.queue[0].at >= w.drawn.trouble:
			w.now = w.drawn.trouble
			w.quiet()
		}
		w.step()
	}
	return w.server.failed
}

// quiet ends all trouble: what is dead is started, what is frozen thaws, clocks are set right.
func (w *world) quiet() {
	w.calm = true
	w.say("world", "from here on nothing goes wrong")
	for _, h := range w.hosts {
		h.mend()
	}
	for _, s := range w.sites {
		s.mend()
	}
	w.server.mend()
	w.people.calm()
	w.judge.calm()
}

// newWorld draws a world. It has no database yet.
func newWorld(ctx context.Context, seed uint64, path string, joined wiring, out io.Writer) *world {
	w := &world{ctx: ctx, dice: newDice(seed), wiring: joined, script: &script{out: out}}
	w.drawn = draw(w.dice)
	joined.tune(&w.drawn)
	w.repository = &repository{world: w}
	w.receiver = &receiver{world: w, known: map[string]bool{}}
	w.judge = newJudge(w)
	w.server = newServer(w, path)
	w.people = &people{process: &process{name: "people", clock: &clock{world: w}}, world: w}
	for n := range w.drawn.hosts {
		w.hosts = append(w.hosts, newHost(w, n))
	}
	w.say("world", "seed %d: %s, %d pushes, %+v, %+v", seed, w.drawn.trouble.Round(time.Second), w.drawn.pushes, w.drawn.shape, w.drawn.place)
	return w
}

// open starts everything.
func (w *world) open() {
	w.server.begin()
	for _, h := range w.hosts {
		h.worker.begin()
		h.keeper.begin()
		h.trouble()
	}
	w.people.begin()
	w.server.trouble()
}
