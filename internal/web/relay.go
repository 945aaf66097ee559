package web

import (
	"context"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const (
	// lastWords is how long what a shell said last may take to reach its person.
	lastWords = 5 * time.Second
	// lastOutput is the same for what a command printed, which may go into something slow.
	lastOutput = 2 * time.Minute
	// shellQueue is how many messages wait for the other side, which may be away. Who says more waits as well.
	shellQueue = 64
	// pingEvery is how often a person's connection is tried, and pingLimit how long an answer may take.
	pingEvery = 15 * time.Second
	pingLimit = 10 * time.Second
)

// side is one of the two who speak through a relay.
type side int

const (
	thePerson side = iota
	theWorker
)

func (s side) other() side { return 1 - s }

// shells are the relays of the shells that are open, and of commands.
type shells struct {
	mutex sync.Mutex
	open  map[string]*relay // by run's ID, or "errand/" and the ID of a command
}

// isOpen says that there is a relay of that name.
func (s *shells) isOpen(name string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.open[name] != nil
}

// of answers the relay of that name, which is there until await returns and the last words were heard, or took too long.
func (s *shells) of(name string, words time.Duration, await func(context.Context)) *relay {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r, is := s.open[name]; is {
		return r
	}
	r := newRelay()
	s.open[name] = r
	go func() {
		await(r.life)
		r.finish(words)
		s.mutex.Lock()
		defer s.mutex.Unlock()
		delete(s.open, name)
	}()
	return r
}

// relay carries messages between a person and the worker that has their shell. Either may go away and come back: what was
// said meanwhile waits.
type relay struct {
	life   context.Context
	end    context.CancelFunc
	queues [2]chan said // by who says it

	mutex   sync.Mutex
	ends    [2]*relayEnd  // nil: that side is away
	changed chan struct{} // closed when one comes or goes
}

// said is a message, or the question whether all before it was heard.
type said struct {
	client.ShellMessage
	heard chan struct{}
}

// relayEnd is a connection of one side.
type relayEnd struct {
	stream *client.ShellStream
	cancel context.CancelFunc
	gone   chan struct{} // closed when nothing more is read of it
}

func newRelay() *relay {
	r := &relay{changed: make(chan struct{})}
	r.life, r.end = context.WithCancel(context.Background())
	for s := range r.queues {
		r.queues[s] = make(chan said, shellQueue)
		go r.carry(side(s))
	}
	return r
}

// attach is one side until its connection breaks, another takes its place, or the relay ends.
func (r *relay) attach(ctx context.Context, s side, stream *client.ShellStream) {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(r.life, cancel)()
	e := &relayEnd{stream: stream, cancel: cancel, gone: make(chan struct{})}
	if former := r.put(s, nil, e); former != nil {
		former.cancel()
		<-former.gone
	}
	defer func() {
		cancel()
		r.put(s, e, nil)
		close(e.gone)
		r.tellAttached()
		stream.Close()
	}()
	r.tellAttached()
	if s == thePerson {
		go keepTrying(ctx, stream, cancel)
	}
	for {
		m, err := stream.Read(ctx)
		if err != nil || !r.say(ctx, s, said{ShellMessage: m}) {
			return
		}
	}
}

// put changes who a side is, where it is the expected one or anybody may be it, and answers who it was.
func (r *relay) put(s side, expected, now *relayEnd) (former *relayEnd) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if former = r.ends[s]; expected == nil || former == expected {
		r.ends[s] = now
		close(r.changed)
		r.changed = make(chan struct{})
	}
	return former
}

// tellAttached has the worker told whether the person is there, as it is when the worker is told.
func (r *relay) tellAttached() {
	r.say(r.life, thePerson, said{ShellMessage: client.ShellMessage{Attached: new(bool)}})
}

func (r *relay) say(ctx context.Context, s side, m said) bool {
	select {
	case r.queues[s] <- m:
		return true
	case <-ctx.Done():
		return false
	}
}

// carry hands on what one side says.
func (r *relay) carry(from side) {
	for {
		select {
		case m := <-r.queues[from]:
			if m.heard != nil {
				close(m.heard)
				continue
			}
			r.hand(from.other(), m.ShellMessage)
		case <-r.life.Done():
			return
		}
	}
}

// hand gives a side a message, once it is there.
func (r *relay) hand(to side, m client.ShellMessage) {
	for {
		e := r.await(to)
		if e == nil {
			return
		}
		if m.Attached != nil {
			isThere := r.isThere(thePerson)
			m.Attached = &isThere
		}
		if e.stream.Write(r.life, m) == nil {
			return
		}
		e.cancel()
		r.put(to, e, nil)
	}
}

// await answers a side's connection; nil where the relay has ended.
func (r *relay) await(s side) *relayEnd {
	for {
		r.mutex.Lock()
		e, changed := r.ends[s], r.changed
		r.mutex.Unlock()
		if e != nil {
			return e
		}
		select {
		case <-changed:
		case <-r.life.Done():
			return nil
		}
	}
}

func (r *relay) isThere(s side) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.ends[s] != nil
}

// finish lets the worker's last words be heard, and ends every connection.
func (r *relay) finish(within time.Duration) {
	defer r.end()
	ctx, cancel := context.WithTimeout(r.life, within)
	defer cancel()
	heard := make(chan struct{})
	if !r.say(ctx, theWorker, said{heard: heard}) {
		return
	}
	select {
	case <-heard:
	case <-ctx.Done():
	}
}

// keepTrying notices a person who is gone without a word.
func keepTrying(ctx context.Context, stream *client.ShellStream, gone context.CancelFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pingEvery):
		}
		trying, cancel := context.WithTimeout(ctx, pingLimit)
		err := stream.Ping(trying)
		cancel()
		if err != nil {
			gone()
			return
		}
	}
}
