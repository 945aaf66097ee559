package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/towpath-cd/towpath/client"
)

// exchange is a relay with a way in for each side.
type exchange struct {
	*testing.T
	relay *relay
	url   string
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	x := &exchange{T: t, relay: newRelay()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		x.relay.attach(r.Context(), side(len(r.URL.Path)-1), client.NewShellStream(conn)) // "/" is the person, "/w" the worker
	}))
	t.Cleanup(server.Close)
	t.Cleanup(x.relay.end)
	x.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return x
}

// joins connects a side.
func (x *exchange) joins(s side) *client.ShellStream {
	x.Helper()
	conn, _, err := websocket.Dial(x.Context(), x.url+"/"+"w"[:s], nil)
	if err != nil {
		x.Fatal(err)
	}
	stream := client.NewShellStream(conn)
	x.Cleanup(stream.Cut)
	return stream
}

func (x *exchange) says(s *client.ShellStream, text string) {
	x.Helper()
	if err := s.Write(x.Context(), client.ShellMessage{Data: []byte(text)}); err != nil {
		x.Fatal(err)
	}
}

// hears reads the next message that is no news of the person.
func (x *exchange) hears(s *client.ShellStream, want string) {
	x.Helper()
	for {
		m, err := s.Read(x.Context())
		if err != nil {
			x.Fatalf("%v instead of %q", err, want)
		}
		if m.Attached != nil {
			continue
		}
		if string(m.Data) != want {
			x.Fatalf("%q (%+v) instead of %q", m.Data, m, want)
		}
		return
	}
}

// isAway waits until the relay knows that a side is gone.
func (x *exchange) isAway(s side) {
	x.Helper()
	for {
		x.relay.mutex.Lock()
		e, changed := x.relay.ends[s], x.relay.changed
		x.relay.mutex.Unlock()
		if e == nil {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			x.Fatal("the relay does not notice")
		}
	}
}

// isTold reads until the worker is told that the person is there, or not.
func (x *exchange) isTold(worker *client.ShellStream, isThere bool) {
	x.Helper()
	for {
		m, err := worker.Read(x.Context())
		if err != nil {
			x.Fatal(err)
		}
		if m.Attached != nil && *m.Attached == isThere {
			return
		}
	}
}

func TestWhatIsSaidWaitsForTheOtherSide(t *testing.T) {
	x := newExchange(t)
	person := x.joins(thePerson)
	x.says(person, "ls")
	worker := x.joins(theWorker)
	x.hears(worker, "ls")
	x.says(worker, "file")
	x.hears(person, "file")

	worker.Cut()
	x.isAway(theWorker) // what is on its way in a connection that breaks is lost
	x.says(person, "pwd")
	x.says(person, "exit")
	worker = x.joins(theWorker)
	x.hears(worker, "pwd")
	x.hears(worker, "exit")

	person.Cut()
	x.isTold(worker, false)
	x.says(worker, "folder")
	person = x.joins(thePerson)
	x.isTold(worker, true)
	x.hears(person, "folder")
}

func TestOneConnectionOfASideTakesThePlaceOfAnother(t *testing.T) {
	x := newExchange(t)
	worker, first := x.joins(theWorker), x.joins(thePerson)
	x.says(first, "one")
	x.hears(worker, "one")
	second := x.joins(thePerson)
	if _, err := first.Read(t.Context()); err == nil {
		t.Error("the first still hears")
	}
	x.says(second, "two")
	x.hears(worker, "two")
	x.says(worker, "three")
	x.hears(second, "three")
}

// TestASidesClaimsAreNotBelieved has a person say of themselves that they are away.
func TestASidesClaimsAreNotBelieved(t *testing.T) {
	x := newExchange(t)
	worker, person := x.joins(theWorker), x.joins(thePerson)
	x.isTold(worker, true)
	away := false
	if err := person.Write(t.Context(), client.ShellMessage{Attached: &away}); err != nil {
		t.Fatal(err)
	}
	x.isTold(worker, true)
}

func TestLastWordsAreHeardBeforeTheEnd(t *testing.T) {
	x := newExchange(t)
	of := &shells{open: map[string]*relay{}}
	over := make(chan struct{})
	x.relay.end()
	x.relay = of.of("run", lastWords, func(ctx context.Context) {
		select {
		case <-over:
		case <-ctx.Done():
		}
	})
	if again := of.of("run", lastWords, nil); again != x.relay {
		t.Error("a shell has two relays")
	}
	worker, person := x.joins(theWorker), x.joins(thePerson)
	x.isTold(worker, true)
	for range shellQueue / 2 {
		x.says(worker, "more")
	}
	if err := worker.Write(t.Context(), client.ShellMessage{Ended: &client.ShellEnd{ExitCode: 7}}); err != nil {
		t.Fatal(err)
	}
	worker.Close() // waits until the server has read all
	close(over)
	for range shellQueue / 2 {
		x.hears(person, "more")
	}
	if m, err := person.Read(t.Context()); err != nil || m.Ended == nil || m.Ended.ExitCode != 7 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := person.Read(t.Context()); err == nil {
		t.Error("the connection goes on")
	}
	select {
	case <-x.relay.life.Done():
	case <-time.After(20 * time.Second):
		t.Error("the relay does not end")
	}
}
