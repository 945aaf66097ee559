package simulate

import (
	"context"
	"errors"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
)

// patience is how long a caller waits for an answer.
const patience = 8 * time.Second

// errSilence is a call whose answer did not come: it may have been heard or not.
var errSilence = errors.New("no answer came")

// isSilence says that nobody knows what became of a call.
func isSilence(err error) bool { return errors.Is(err, errSilence) || errors.Is(err, errDead) }

// delay is how long a message travels.
func (w *world) delay() time.Duration {
	if w.fault(w.drawn.faults.late) {
		return w.dice.between(50*time.Millisecond, 4*time.Second)
	}
	return w.dice.between(200*time.Microsecond, 5*time.Millisecond)
}

// call is a request to the server and its answer. Either may be lost or late, and the request may come twice.
type call struct {
	from *process
	what string
	// serve is what the server does, and its answer.
	serve func(context.Context) (any, error)
	// isHeld says that the server keeps an answer back until the topic is rung; nil is never.
	isHeld func(any) bool
	topic  string
	park   func() flow.Parked // waits besides for what the server hands out; nil is nothing
	given  func(*flow.Work)   // hears what it handed out
	atMost time.Duration      // that it is kept back
	// done is what the caller does with the answer: once.
	done func(any, error)
}

// send has a call travel.
func (w *world) send(c call) {
	answered := false
	answer := func(said any, err error) {
		if !answered {
			answered = true
			c.done(said, err)
		}
	}
	w.after(c.atMost+patience, c.from, "", func() { answer(nil, errSilence) })
	f := w.drawn.faults
	if w.fault(f.lost) {
		w.say(c.from.name, "%s: lost on its way", c.what)
		return
	}
	w.arrive(c, answer, true)
	if w.fault(f.doubled) {
		w.arrive(c, func(any, error) {}, false)
	}
}

// arrive has the server hear a call after a while.
func (w *world) arrive(c call, answer func(any, error), heard bool) {
	what := c.from.name + ": " + c.what
	if !heard {
		what += ", once more"
	}
	e := w.after(w.delay(), nil, what, func() { w.server.hear(c, answer, w.now+c.atMost) })
	e.arrives = true
}

// held is a call whose answer is kept back.
type held struct {
	rung  <-chan struct{}
	wait  *flow.Parked // nil where nothing is handed out
	until time.Duration
	again func()
	given func(*flow.Work)
	give  func(any, error)
}

// hear serves a call, and has its answer travel.
func (s *server) hear(c call, answer func(any, error), until time.Duration) {
	w := s.world
	give := func(said any, err error) {
		if w.fault(w.drawn.faults.lost) {
			s.say("the answer to %s's %q is lost", c.from.name, c.what)
			return
		}
		w.after(w.delay(), c.from, "", func() { answer(said, err) })
	}
	if !s.up {
		give(nil, errDead)
		return
	}
	rung := s.options.Hub.Wait(c.topic)
	life := s.life
	said, err := s.serve(c)
	if err == nil && c.isHeld != nil && c.isHeld(said) && w.now < until && s.up && s.life == life {
		h := &held{rung: rung, until: until, again: func() { s.hear(c, answer, until) }, give: give}
		if c.park != nil {
			wait := c.park()
			h.wait, h.given = &wait, c.given
		}
		s.hold(h)
		return
	}
	give(said, err)
}

// serve does what a call asks for.
func (s *server) serve(c call) (said any, err error) {
	err = s.handle(func(ctx context.Context) (err error) {
		said, err = c.serve(ctx)
		return err
	})
	if err != nil && !isSilence(err) {
		s.say("answers %s's %q: %v", c.from.name, c.what, err)
		s.check(err)
	}
	return said, err
}

// hold keeps an answer back until something is rung, or its time is over.
func (s *server) hold(h *held) {
	s.waiting = append(s.waiting, h)
	s.world.after(h.until-s.world.now, s.process, "", func() { s.release(h) })
}

// release has those that were held look again, if they are still there.
func (s *server) release(h *held) {
	for n, other := range s.waiting {
		if other == h {
			s.waiting = append(s.waiting[:n:n], s.waiting[n+1:]...)
			if h.wait != nil && !h.wait.Leave() {
				work, _, over := h.wait.Answer() // it was chosen at the same moment
				s.handOut(h, work, over)
				return
			}
			h.again()
			return
		}
	}
}

// handOut has an answer travel that the server has chosen by itself.
func (s *server) handOut(h *held, work *flow.Work, over bool) {
	switch {
	case over:
		h.give(work, nil)
	case work == nil:
		h.again()
	default:
		h.given(work)
		h.give(work, nil)
	}
}

// wakeWaiting has those look again whose topic was rung.
func (s *server) wakeWaiting() {
	for n := 0; n < len(s.waiting); n++ {
		h := s.waiting[n]
		if h.wait != nil {
			if work, given, over := h.wait.Answer(); given {
				s.waiting = append(s.waiting[:n:n], s.waiting[n+1:]...)
				n--
				s.handOut(h, work, over)
				continue
			}
		}
		select {
		case <-h.rung:
			h.rung = nil // once
			s.world.after(time.Millisecond, s.process, "", func() { s.release(h) })
		default:
		}
	}
}

// refused says that the server has heard and declined: nothing is gained by asking again.
func refused(err error) bool {
	switch towpath.CodeOf(err) {
	case towpath.CodeConflict, towpath.CodeStale, towpath.CodeForbidden, towpath.CodeNotFound, towpath.CodeInvalid:
		return true
	}
	return false
}
