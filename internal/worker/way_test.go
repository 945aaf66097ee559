//go:build unix

package worker_test

import (
	"net"
	"sync"
	"testing"
)

// way is what lies between a worker and its server: it cuts each connection behind so many bytes of one direction, or
// lets nothing more through.
type way struct {
	t        testing.TB
	server   string
	listener net.Listener
	each     int64 // bytes of a connection

	mutex    sync.Mutex
	up, down int64 // bytes that came in from either side
	cuts     int
	hangsAt  int64         // bytes of a connection in one direction; 0 is never
	hangs    chan struct{} // closed when it does
	flipAt   int64         // of up or down: from there on a byte of a body is changed; 0 is none
	flipped  bool
	open     map[net.Conn]bool
	ended    sync.WaitGroup
}

func newWay(t testing.TB, server string, each int64) *way {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{t: t, server: server, listener: listener, each: each, open: make(map[net.Conn]bool)}
	w.ended.Go(w.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		w.cutAll()
		w.ended.Wait()
	})
	return w
}

func (w *way) url() string { return "http://" + w.listener.Addr().String() }

func (w *way) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		to, err := net.Dial("tcp", w.server)
		if err != nil { // the server is away
			_ = from.Close()
			continue
		}
		w.change(func() { w.open[from], w.open[to] = true, true })
		w.ended.Go(func() { w.carry(to, from, &w.up) })
		w.ended.Go(func() { w.carry(from, to, &w.down) })
	}
}

// carry hands on what comes, until it is enough. What came before that arrives, as it does where a proxy gives up.
func (w *way) carry(to, from net.Conn, sum *int64) {
	buffer := make([]byte, 16<<10)
	for left := w.each; left > 0; {
		n, err := from.Read(buffer[:min(left, int64(len(buffer)))])
		left -= int64(n)
		if !w.passes(buffer[:n], sum, w.each-left) {
			return // both stay open
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			break
		}
		if left == 0 {
			w.change(func() { w.cuts++ })
		}
	}
	_, _ = to.Close(), from.Close()
	w.change(func() { delete(w.open, to); delete(w.open, from) })
}

// passes counts what comes, and says whether it goes on. All hang once a connection has carried so much in one direction.
func (w *way) passes(p []byte, sum *int64, carried int64) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if isBody := carried > perConnection/4; isBody && w.flipAt > 0 && !w.flipped && *sum >= w.flipAt {
		p[len(p)/2] ^= 1
		w.flipped = true
	}
	*sum += int64(len(p))
	if w.hangsAt == 0 {
		return true
	}
	select {
	case <-w.hangs:
		return false
	default:
	}
	if carried < w.hangsAt {
		return true
	}
	close(w.hangs)
	return false
}

func (w *way) change(do func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	do()
}

func (w *way) cutAll() {
	w.change(func() {
		for c := range w.open {
			_ = c.Close()
		}
	})
}

// hang has it let nothing through after so many bytes of one connection.
func (w *way) hang(at int64) {
	w.change(func() { w.hangsAt, w.hangs = at, make(chan struct{}) })
}

// flip has it change a byte of either direction, once.
func (w *way) flip(at int64) { w.change(func() { w.flipAt, w.flipped = at, false }) }

func (w *way) hasFlipped() (has bool) {
	w.change(func() { has = w.flipped })
	return has
}

// letGo has it hang no longer: what hung is cut.
func (w *way) letGo() {
	w.change(func() { w.hangsAt = 0 })
	w.cutAll()
}

// came answers how many bytes came in from either side, and forgets them.
func (w *way) came() (up, down int64, cuts int) {
	w.change(func() {
		up, down, cuts = w.up, w.down, w.cuts
		w.up, w.down, w.cuts = 0, 0, 0
	})
	return up, down, cuts
}
