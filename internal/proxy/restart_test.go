//go:build unix

package proxy

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func clientOf(t *testing.T, folder string) *control.Client {
	t.Helper()
	client := control.New(control.Options{DataDir: folder})
	t.Cleanup(client.Close)
	return client
}

func TestAKilledProxyCostsNoMoreThanWhatWasInFlightAndRefusesNobody(t *testing.T) {
	folder := newFolder(t)
	proxy := spawn(t, folder)
	app := newApplication(t, 1, 20*time.Millisecond)
	serveShop(t, clientOf(t, folder), app.backend(1))
	load := startLoad(t, proxy.address, 32)
	const kills = 3
	for range kills {
		load.more(t, 200)
		proxy.kill()
		began := time.Now()
		proxy = spawn(t, folder)
		t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	}
	load.more(t, 200)
	load.end()
	t.Logf("%d requests, %d failed at %d kills: %q", load.asked.Load(), load.failed.Load(), kills, load.failures)
	if load.refused.Load() > 0 || load.failed.Load() > kills*32 {
		t.Errorf("%d failed, %d of them refused", load.failed.Load(), load.refused.Load())
	}
}

func TestHandingOverToASuccessorUnderLoadLosesNothing(t *testing.T) {
	folder := newFolder(t)
	proxy := spawn(t, folder)
	client := clientOf(t, folder)
	app := newApplication(t, 1, 20*time.Millisecond)
	serveShop(t, client, app.backend(1))
	load := startLoad(t, proxy.address, 32)
	for range 3 {
		load.more(t, 200)
		successor := spawn(t, folder)
		if successor.address != proxy.address {
			t.Fatalf("the successor listens on %s, not on %s", successor.address, proxy.address)
		}
		handedOver := time.Now()
		<-proxy.ended
		// Each connection is busy: its next answer was its last there. Only idle ones have 15 s.
		if took := time.Since(handedOver); took > 3*time.Second {
			t.Errorf("the proxy before went on for %s", took)
		}
		proxy = successor
	}
	load.more(t, 200)
	load.mustNotFail(t)
	state, err := client.Route(soon(t), shop)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := state.Backend(app.id()); b.Counters.Requests < uint64(load.asked.Load()) {
		t.Errorf("the successor counts %d requests of %d", b.Counters.Requests, load.asked.Load())
	}
}

func TestStoppingAndStartingUnderLoadLosesNothing(t *testing.T) {
	folder := newFolder(t)
	proxy := spawn(t, folder)
	app := newApplication(t, 1, 20*time.Millisecond)
	serveShop(t, clientOf(t, folder), app.backend(1))
	load := startLoad(t, proxy.address, 32)
	load.more(t, 200)
	proxy.terminate()
	<-proxy.ended
	spawn(t, folder)
	load.more(t, 200)
	load.mustNotFail(t)
}

func TestADrainCountsWhatThePredecessorHasInFlight(t *testing.T) {
	folder := newFolder(t)
	first := spawn(t, folder)
	client := clientOf(t, folder)
	old, next := newApplication(t, 1, 0), newApplication(t, 2, 0)
	serveShop(t, client, old.backend(1))
	long := askInBackground(t, first.address, "/hold")
	<-old.held
	spawn(t, folder)
	if _, err := client.PutBackends(soon(t), keeper(), shop, []control.Backend{next.backend(1)}); err != nil {
		t.Fatal(err)
	}
	state, err := client.State(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	route, _ := state.Route(shop)
	if b, _ := route.Backend(old.id()); b.InFlight.Requests != 1 || state.Predecessors != 1 {
		t.Fatalf("in flight %+v, %d predecessors", b.InFlight, state.Predecessors)
	}
	if _, err := client.RemoveBackend(soon(t), keeper(), shop, old.id(), false); !errors.Is(err, control.ErrBusy) {
		t.Errorf("removing what the predecessor still uses: %v", err)
	}
	drained := make(chan control.DrainResult)
	go func() { drained <- drainAll(t, client, old) }()
	close(old.letGo)
	if got := <-long; got != "1 held" {
		t.Errorf("the long request got %q", got)
	}
	if result := <-drained; !result.IsIdle() || result.LastFinished.IsZero() {
		t.Errorf("drain: %+v", result)
	}
	<-first.ended
}

func TestAKeptConnectionToThePredecessorFollowsTheSuccessorsWeights(t *testing.T) {
	folder := newFolder(t)
	first := spawn(t, folder)
	client := clientOf(t, folder)
	old, next := newApplication(t, 1, 0), newApplication(t, 2, 0)
	serveShop(t, client, old.backend(1))
	kept := &http.Client{Transport: &http.Transport{}}
	if answer, err := ask(soon(t), kept, first.address, "/", "x"); err != nil || answer != "1 x" {
		t.Fatalf("before: %q, %v", answer, err)
	}
	spawn(t, folder)
	if _, err := client.PutBackends(soon(t), keeper(), shop, []control.Backend{next.backend(1)}); err != nil {
		t.Fatal(err)
	}
	drainAll(t, client, old)
	old.kill()
	if answer, err := ask(soon(t), kept, first.address, "/", "x"); err != nil || answer != "2 x" {
		t.Errorf("on the kept connection: %q, %v", answer, err)
	}
	<-first.ended
}

func TestADrainGoesOnWhenThePredecessorIsKilled(t *testing.T) {
	folder := newFolder(t)
	first := spawn(t, folder)
	client := clientOf(t, folder)
	old := newApplication(t, 1, 0)
	serveShop(t, client, old.backend(1))
	long := askInBackground(t, first.address, "/hold")
	<-old.held
	spawn(t, folder)
	if _, err := client.SetWeights(soon(t), keeper(), shop, nil); err != nil {
		t.Fatal(err)
	}
	drained := make(chan control.DrainResult)
	go func() { drained <- drainAll(t, client, old) }()
	first.kill()
	<-long
	if result := <-drained; !result.IsIdle() {
		t.Errorf("drain: %+v", result)
	}
	eventually(t, "the predecessor forgotten", func() bool {
		state, err := client.State(soon(t))
		return err == nil && state.Predecessors == 0
	})
}

func TestASuccessorThatCannotReadTheStateLeavesTheOldProxyServing(t *testing.T) {
	folder := newFolder(t)
	first := spawn(t, folder)
	client := clientOf(t, folder)
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	path := filepath.Join(folder, bookName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trySpawn(t, folder); err == nil || !strings.Contains(err.Error(), "put back a good copy") {
		t.Errorf("a proxy with half a state file said: %v", err)
	}
	if answer, err := ask(soon(t), http.DefaultClient, first.address, "/", "x"); err != nil || answer != "1 x" {
		t.Errorf("the old proxy answers %q, %v", answer, err)
	}
}

func TestAProxyTakesItsFolderBackWhenTheSuccessorNeverStands(t *testing.T) {
	folder := newFolder(t)
	first := spawn(t, folder)
	client := clientOf(t, folder)
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	if err := client.HandOver(soon(t)); err != nil {
		t.Fatal(err)
	}
	if answer, err := ask(soon(t), http.DefaultClient, first.address, "/", "x"); err != nil || answer != "1 x" {
		t.Errorf("the connection that waited got %q, %v", answer, err)
	}
	serveShop(t, client, app.backend(2))
}

func TestEndingTheHolderEndsListening(t *testing.T) {
	folder := newFolder(t)
	proxy := spawn(t, folder)
	proxy.terminate()
	<-proxy.ended
	if err := StopHolder(soon(t), folder); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(soon(t), http.DefaultClient, proxy.address, "/", ""); err == nil {
		t.Error("somebody still listens")
	}
}
