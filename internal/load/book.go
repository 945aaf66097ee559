package load

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"
)

// keptFailures is how many failures a report holds.
const keptFailures = 20

// Report is what became of the requests.
type Report struct {
	Requests int       // sent, with streams
	Failed   int       // those without a whole and right answer
	Refused  int       // of them those to which no connection was had
	Failures []Failure // the first 20
	Excused  int       // answered by the side that was excused with a status of 500 or above; none of them is in Failed
}

// Failure is a request that has no whole and right answer.
type Failure struct {
	At     time.Time
	Path   string
	Reason string
}

// Side is what answered under one name: a release, usually.
type Side struct {
	Answers     int
	Excused     int       // not among Answers
	First, Last time.Time // when the last byte of its first and of its last answer was there, excused ones as well
}

// book is where all clients write down what they got.
type book struct {
	clients int

	mutex    sync.Mutex
	sent     Report
	sides    map[string]Side
	excused  string // side; empty is none
	turn     int    // rises with each settle
	settlers map[*settler]bool
}

// settler waits for those who have not yet finished a request of its turn.
type settler struct {
	turn    int
	waiting map[int]bool // clients, by number
	settled chan struct{}
}

func newBook(clients int) *book {
	return &book{clients: clients, sides: map[string]Side{}, settlers: map[*settler]bool{}}
}

// begin counts a request, and answers the turn in which it was sent.
func (b *book) begin() (turn int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.sent.Requests++
	return b.turn
}

// forget takes back a request that was cut by us.
func (b *book) forget() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.sent.Requests--
}

func (b *book) answered(side string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.note(side, func(s *Side) { s.Answers++ })
}

// note counts a whole answer. The caller holds the mutex.
func (b *book) note(side string, count func(*Side)) {
	s := b.sides[side]
	s.Last = time.Now()
	if s.First.IsZero() {
		s.First = s.Last
	}
	count(&s)
	b.sides[side] = s
}

// failed counts a request without a whole and right answer. The side is empty where it is not known.
func (b *book) failed(side, path string, why error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if side != "" && side == b.excused && isServerError(why) {
		b.sent.Excused++
		b.note(side, func(s *Side) { s.Excused++ })
		return
	}
	b.sent.Failed++
	if errors.Is(why, syscall.ECONNREFUSED) {
		b.sent.Refused++
	}
	if len(b.sent.Failures) < keptFailures {
		b.sent.Failures = append(b.sent.Failures, Failure{At: time.Now(), Path: path, Reason: why.Error()})
	}
}

func (b *book) excuse(side string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.excused = side
}

// finished notes that a client has no request of that turn, or an earlier one, on its way any more.
func (b *book) finished(client, turn int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for s := range b.settlers {
		if turn < s.turn || !s.waiting[client] {
			continue
		}
		delete(s.waiting, client)
		if len(s.waiting) == 0 {
			delete(b.settlers, s)
			close(s.settled)
		}
	}
}

func (b *book) settle(ctx context.Context) error {
	s := b.newSettler()
	select {
	case <-s.settled:
		return nil
	case <-ctx.Done():
		b.mutex.Lock()
		defer b.mutex.Unlock()
		delete(b.settlers, s)
		return context.Cause(ctx)
	}
}

func (b *book) newSettler() *settler {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.turn++
	s := &settler{turn: b.turn, waiting: map[int]bool{}, settled: make(chan struct{})}
	for client := range b.clients {
		s.waiting[client] = true
	}
	if b.clients == 0 {
		close(s.settled)
		return s
	}
	b.settlers[s] = true
	return s
}

func (b *book) mark() time.Time {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	clear(b.sides)
	return time.Now()
}

func (b *book) sidesNow() map[string]Side {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return maps.Clone(b.sides)
}

func (b *book) report() Report {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	r := b.sent
	r.Failures = slices.Clone(r.Failures)
	return r
}
