package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func (a *application) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

func TestTenSwitchesUnderLoadLoseNothingThoughTheOldSideIsKilledAtOnce(t *testing.T) {
	address, client := inside(t, Options{})
	old := newApplication(t, 1, 20*time.Millisecond)
	serveShop(t, client, old.backend(1))
	load := startLoad(t, address, 32)
	for release := 2; release <= 11; release++ {
		load.more(t, 64)
		next := newApplication(t, release, 20*time.Millisecond)
		if _, err := client.PutBackends(soon(t), keeper(), shop, []control.Backend{next.backend(1)}); err != nil {
			t.Fatal(err)
		}
		drained := drainAll(t, client, old)
		old.kill()
		if !drained.IsIdle() || drained.LastFinished.IsZero() {
			t.Fatalf("drain of release %d ended with %+v", old.release, drained)
		}
		if _, err := client.RemoveBackend(soon(t), keeper(), shop, old.id(), false); err != nil {
			t.Fatal(err)
		}
		old = next
	}
	load.more(t, 64)
	load.mustNotFail(t)
}

func drainAll(t *testing.T, client *control.Client, a *application) control.DrainResult {
	t.Helper()
	result, err := client.Drain(soon(t), keeper(), shop, control.DrainRequest{
		Backends: []string{a.id()}, Requests: patience, Streams: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// The promise on which everything rests, at its narrowest: no sockets in between, as many tries as fit.
func TestOnceWeightsAreAppliedAndNothingIsInFlightNobodyIsGivenTheOldBackend(t *testing.T) {
	server := NewServer(Limits{}, slog.New(slog.DiscardHandler))
	routing := func(blue, green int) []Routing {
		return []Routing{{
			Route: control.Route{Name: shop, Hosts: []string{shopHost}},
			Backends: []control.Backend{
				{ID: "blue", Address: "127.0.0.1:1", Weight: blue},
				{ID: "green", Address: "127.0.0.1:2", Weight: green},
			},
		}}
	}
	server.Apply(routing(1, 0))
	var stopped sync.Map // backends that would be stopped now
	var chosen atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil {
				_, b, _ := server.choose("", httptest.NewRequest(http.MethodGet, "http://"+shopHost+"/", nil))
				chosen.Add(1)
				if _, isStopped := stopped.Load(b.id); isStopped {
					t.Errorf("%s was chosen though it is stopped", b.id)
				}
				b.endRequest()
			}
		})
	}
	backends := server.table.Load().routes[shop].backends
	for turn := range 60 {
		old, weights := "blue", routing(0, 1)
		if turn%2 == 1 {
			old, weights = "green", routing(1, 0)
		}
		server.Apply(weights)
		for backends[old].inFlight().Requests > 0 {
			runtime.Gosched()
		}
		stopped.Store(old, true)
		until := chosen.Load() + 20
		for chosen.Load() < until {
			runtime.Gosched()
		}
		stopped.Delete(old)
	}
	stop()
	workers.Wait()
}

func TestALongRequestSurvivesASwitchAndIsWaitedFor(t *testing.T) {
	address, client := inside(t, Options{})
	old, next := newApplication(t, 1, 0), newApplication(t, 2, 0)
	serveShop(t, client, old.backend(1))
	long := askInBackground(t, address, "/hold")
	<-old.held
	if _, err := client.PutBackends(soon(t), keeper(), shop, []control.Backend{next.backend(1)}); err != nil {
		t.Fatal(err)
	}
	drained := make(chan control.DrainResult)
	go func() { drained <- drainAll(t, client, old) }()
	if answer, err := ask(soon(t), http.DefaultClient, address, "/", "x"); err != nil || answer != "2 x" {
		t.Errorf("during the drain: %q, %v", answer, err)
	}
	select {
	case result := <-drained:
		t.Fatalf("the drain did not wait: %+v", result)
	default:
	}
	close(old.letGo)
	if got := <-long; got != "1 held" {
		t.Errorf("the long request got %q", got)
	}
	// On a busy machine the order may have reached the proxy only after the request had ended: then none finished meanwhile.
	if result := <-drained; !result.IsIdle() || result.Requests.Cut > 0 || result.LastFinished.IsZero() {
		t.Errorf("the drain ended with %+v", result)
	}
}

func TestADrainReportsWhatIsLeftWhenTheClockIsOverAndCutsItOnlyWhenAsked(t *testing.T) {
	address, client := inside(t, Options{})
	old := newApplication(t, 1, 0)
	serveShop(t, client, old.backend(1))
	long := askInBackground(t, address, "/hold")
	<-old.held
	if _, err := client.SetWeights(soon(t), keeper(), shop, nil); err != nil {
		t.Fatal(err)
	}
	request := control.DrainRequest{Backends: []string{old.id()}, Requests: time.Millisecond}
	result, err := client.Drain(soon(t), keeper(), shop, request)
	if err != nil || result.Requests.Left != 1 || result.Requests.Cut != 0 {
		t.Errorf("without cutting: %+v, %v", result, err)
	}
	if _, err := client.RemoveBackend(soon(t), keeper(), shop, old.id(), false); !errors.Is(err, control.ErrBusy) {
		t.Errorf("removing a busy backend: %v", err)
	}
	request.CutRequests = true
	result, err = client.Drain(soon(t), keeper(), shop, request)
	if err != nil || !result.IsIdle() || result.Requests.Cut != 1 {
		t.Errorf("with cutting: %+v, %v", result, err)
	}
	if got := <-long; !strings.Contains(got, "EOF") {
		t.Errorf("the request that was cut got %q", got)
	}
}

func TestADrainEndsWhenItsBackendIsGivenTrafficAgain(t *testing.T) {
	address, client := inside(t, Options{})
	old := newApplication(t, 1, 0)
	serveShop(t, client, old.backend(1))
	if _, err := client.Drain(soon(t), keeper(), shop, control.DrainRequest{Backends: []string{old.id()}}); !errors.Is(err, control.ErrBusy) {
		t.Errorf("draining what takes traffic: %v", err)
	}
	long := askInBackground(t, address, "/hold")
	<-old.held
	if _, err := client.SetWeights(soon(t), keeper(), shop, nil); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error)
	go func() {
		_, err := client.Drain(soon(t), keeper(), shop, control.DrainRequest{Backends: []string{old.id()}, Requests: patience})
		drained <- err
	}()
	if _, err := client.SetWeights(soon(t), keeper(), shop, map[string]int{old.id(): 1}); err != nil {
		t.Fatal(err)
	}
	if err := <-drained; !errors.Is(err, control.ErrBusy) {
		t.Errorf("the drain ended with %v", err)
	}
	close(old.letGo)
	<-long
}

func TestAWebSocketLivesAcrossASwitchUntilTheStreamsClockIsOver(t *testing.T) {
	address, client := inside(t, Options{})
	old, next := newApplication(t, 1, 0), newApplication(t, 2, 0)
	serveShop(t, client, old.backend(1))
	socket, _, err := websocket.Dial(soon(t), "ws://"+address+"/socket", &websocket.DialOptions{Host: shopHost})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	mustEcho(t, socket)
	if _, err := client.PutBackends(soon(t), keeper(), shop, []control.Backend{next.backend(1)}); err != nil {
		t.Fatal(err)
	}
	state, err := client.Route(soon(t), shop)
	if b, _ := state.Backend(old.id()); err != nil || b.InFlight != (control.InFlight{Streams: 1}) {
		t.Errorf("in flight: %+v, %v", b.InFlight, err)
	}
	mustEcho(t, socket)
	result, err := client.Drain(soon(t), keeper(), shop, control.DrainRequest{
		Backends: []string{old.id()}, Requests: patience, Streams: 50 * time.Millisecond,
	})
	if err != nil || !result.IsIdle() || result.Streams.Cut != 1 {
		t.Errorf("drain: %+v, %v", result, err)
	}
	if _, _, err := socket.Read(soon(t)); err == nil {
		t.Error("the socket is still open after the drain")
	}
}

func mustEcho(t *testing.T, socket *websocket.Conn) {
	t.Helper()
	if err := socket.Write(soon(t), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, echo, err := socket.Read(soon(t)); err != nil || string(echo) != "hello" {
		t.Fatalf("echo %q, %v", echo, err)
	}
}

func TestAnEventStreamArrivesAtOnceAndIsCountedAsAStream(t *testing.T) {
	address, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	request, _ := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+address+"/events", nil)
	request.Host = shopHost
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "data:" {
		t.Fatalf("first bytes %q, %v", first, err)
	}
	state, err := client.Route(soon(t), shop)
	if b, _ := state.Backend(app.id()); err != nil || b.InFlight != (control.InFlight{Streams: 1}) {
		t.Errorf("in flight: %+v, %v", b.InFlight, err)
	}
}

// askInBackground sends what the answer was, or the error's text.
func askInBackground(t *testing.T, address, path string) <-chan string {
	t.Helper()
	ctx := soon(t)
	got := make(chan string, 1)
	go func() {
		answer, err := ask(ctx, &http.Client{Transport: &http.Transport{}}, address, path, "")
		if err != nil {
			answer = err.Error()
		}
		got <- answer
	}()
	return got
}
