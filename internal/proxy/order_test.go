package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func TestAStaleEpochIsRefusedAndToldTheCurrentOne(t *testing.T) {
	_, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	successor := control.Epoch{Number: 2, Holder: "other keeper"}
	if err := client.Claim(soon(t), successor, shop); err != nil {
		t.Fatal(err)
	}
	rival := control.Epoch{Number: 2, Holder: "keeper"}
	for _, stale := range []control.Epoch{keeper(), rival} {
		orders := map[string]error{
			"put route":      second(client.PutRoute(soon(t), stale, control.Route{Name: shop, Hosts: []string{"*"}})),
			"put backends":   second(client.PutBackends(soon(t), stale, shop, nil)),
			"set weights":    second(client.SetWeights(soon(t), stale, shop, nil)),
			"drain":          second(client.Drain(soon(t), stale, shop, control.DrainRequest{})),
			"remove backend": second(client.RemoveBackend(soon(t), stale, shop, app.id(), true)),
			"remove route":   client.RemoveRoute(soon(t), stale, shop, true),
			"claim":          client.Claim(soon(t), stale, shop),
		}
		for order, err := range orders {
			var refused *control.Error
			if !errors.Is(err, control.ErrStaleEpoch) || !errors.As(err, &refused) || *refused.Current != successor {
				t.Errorf("%s with epoch %v: %v", order, stale, err)
			}
		}
	}
	route, err := client.SetWeights(soon(t), successor, shop, map[string]int{app.id(): 7})
	if err != nil || route.Backends[0].Weight != 7 || route.Epoch != successor {
		t.Errorf("the rightful holder's order: %+v, %v", route, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRoutesWeightsAndEpochsSurviveAStop(t *testing.T) {
	folder := newFolder(t)
	app, other := newApplication(t, 1, 0), newApplication(t, 2, 0)
	var before control.State
	t.Run("set", func(t *testing.T) {
		_, client := inside(t, Options{DataDir: folder})
		serveShop(t, client, app.backend(3), other.backend(0))
		if err := client.Claim(soon(t), control.Epoch{Number: 9, Holder: "x"}, "gone/staging"); err != nil {
			t.Fatal(err)
		}
		before = stateOf(t, client)
	})
	t.Run("come back", func(t *testing.T) {
		address, client := inside(t, Options{DataDir: folder})
		if diff := cmp.Diff(before.Routes, stateOf(t, client).Routes); diff != "" {
			t.Errorf("routes changed (-before +after):\n%s", diff)
		}
		if answer, err := ask(soon(t), http.DefaultClient, address, "/", "x"); err != nil || answer != "1 x" {
			t.Errorf("asked after the start: %q, %v", answer, err)
		}
	})
}

func stateOf(t *testing.T, client *control.Client) control.State {
	t.Helper()
	state, err := client.State(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestAStateFileThatCannotBeReadKeepsTheProxyFromStarting(t *testing.T) {
	good, err := json.Marshal(book{Version: bookVersion, Routes: []record{{
		Routing: Routing{Route: control.Route{Name: shop, Hosts: []string{shopHost}}},
		Epoch:   keeper(),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":       "",
		"truncated":   string(good[:len(good)-10]),
		"of tomorrow": strings.Replace(string(good), `"version":1`, `"version":2`, 1),
		"nonsense":    strings.Replace(string(good), shopHost, "Shop:80", 1),
	} {
		t.Run(name, func(t *testing.T) {
			folder := newFolder(t)
			path := filepath.Join(folder, bookName)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Run(context.Background(), Options{DataDir: folder})
			if !errors.Is(err, ErrBadState) || !strings.Contains(err.Error(), path) {
				t.Errorf("run: %v", err)
			}
			if kept, _ := os.ReadFile(path); string(kept) != content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestBadOrdersAreRefusedWithAHintAndChangeNothing(t *testing.T) {
	_, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	before := stateOf(t, client)
	backend := func(change func(*control.Backend)) []control.Backend {
		b := app.backend(1)
		change(&b)
		return []control.Backend{b}
	}
	put := func(b []control.Backend) error { return second(client.PutBackends(soon(t), keeper(), shop, b)) }
	route := func(r control.Route) error { return second(client.PutRoute(soon(t), keeper(), r)) }
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"weight below zero", put(backend(func(b *control.Backend) { b.Weight = -1 })), control.ErrInvalid},
		{"weight too large", put(backend(func(b *control.Backend) { b.Weight = 257 })), control.ErrInvalid},
		{"no port", put(backend(func(b *control.Backend) { b.ID, b.Address = "x", "127.0.0.1" })), control.ErrInvalid},
		{"no id", put(backend(func(b *control.Backend) { b.ID = "" })), control.ErrInvalid},
		{"twice", put([]control.Backend{app.backend(1), app.backend(1)}), control.ErrInvalid},
		{"another release in use", put(backend(func(b *control.Backend) { b.Release = 2 })), control.ErrBusy},
		{"no host", route(control.Route{Name: "a"}), control.ErrInvalid},
		{"host with port", route(control.Route{Name: "a", Hosts: []string{"a:80"}}), control.ErrInvalid},
		{"host of another", route(control.Route{Name: "a", Hosts: []string{shopHost}}), control.ErrConflict},
		{"address in use", route(control.Route{Name: "a", Hosts: []string{"*"}, Listen: []string{app.address}}), control.ErrConflict},
		{"no epoch", second(client.SetWeights(soon(t), control.Epoch{}, shop, nil)), control.ErrInvalid},
		{"unknown route", second(client.SetWeights(soon(t), keeper(), "a", nil)), control.ErrUnknownRoute},
		{"unknown backend", second(client.SetWeights(soon(t), keeper(), shop, map[string]int{"a": 1})), control.ErrUnknownBackend},
		{"remove what takes traffic", second(client.RemoveBackend(soon(t), keeper(), shop, app.id(), false)), control.ErrBusy},
		{"remove a route with traffic", client.RemoveRoute(soon(t), keeper(), shop, false), control.ErrBusy},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v", test.name, test.err)
		}
	}
	if diff := cmp.Diff(before.Routes, stateOf(t, client).Routes); diff != "" {
		t.Errorf("routes changed (-before +after):\n%s", diff)
	}
}

func TestARouteThatWasRemovedKeepsItsEpoch(t *testing.T) {
	address, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	if err := client.RemoveRoute(soon(t), control.Epoch{Number: 5, Holder: "new"}, shop, true); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(soon(t), http.DefaultClient, address, "/", ""); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the removed route answers %v", err)
	}
	if _, err := client.PutRoute(soon(t), keeper(), control.Route{Name: shop, Hosts: []string{shopHost}}); !errors.Is(err, control.ErrStaleEpoch) {
		t.Errorf("an old holder put it again: %v", err)
	}
}

func TestTheControlPortWantsTheKeyAndShowsThatItIsTheProxy(t *testing.T) {
	folder := newFolder(t)
	_, local := inside(t, Options{DataDir: folder, ControlAddress: "127.0.0.1:0"})
	port := stateOf(t, local).ControlAddress
	right := keyOf(t, folder, false)
	for what, c := range map[string]struct {
		key  control.Key
		want error
	}{
		"the key":             {key: right},
		"no token":            {key: control.Key{Pin: right.Pin}, want: control.ErrUnauthorized},
		"half a token":        {key: control.Key{Pin: right.Pin, Token: right.Token[1:]}, want: control.ErrUnauthorized},
		"another proxy's key": {key: keyOf(t, newFolder(t), false), want: control.ErrOtherProxy},
	} {
		client := control.New(control.Options{Address: port, Key: c.key})
		if _, err := client.State(soon(t)); !errors.Is(err, c.want) {
			t.Errorf("with %s: %v", what, err)
		}
		if err := client.HandOver(soon(t)); err == nil {
			t.Errorf("with %s the proxy was taken over through the port", what)
		}
		client.Close()
	}
	plain := &http.Client{Transport: &http.Transport{}}
	defer plain.CloseIdleConnections()
	if answer, err := ask(soon(t), plain, port, "/v1/state", ""); err == nil {
		t.Errorf("it answers who does not encrypt: %s", answer)
	}
}

func TestARenewedKeyCountsFromTheNextStart(t *testing.T) {
	folder := newFolder(t)
	old := keyOf(t, folder, false)
	if again := keyOf(t, folder, false); again != old {
		t.Error("the key is another one each time")
	}
	renewed := keyOf(t, folder, true)
	_, local := inside(t, Options{DataDir: folder, ControlAddress: "127.0.0.1:0"})
	port := stateOf(t, local).ControlAddress
	for key, want := range map[control.Key]error{old: control.ErrOtherProxy, renewed: nil} {
		client := control.New(control.Options{Address: port, Key: key})
		if _, err := client.State(soon(t)); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		client.Close()
	}
	if info, err := os.Stat(filepath.Join(folder, identityName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAKeyIsReadAsItWasWritten(t *testing.T) {
	key := keyOf(t, newFolder(t), false)
	if again, err := control.ParseKey(key.String() + "\n"); err != nil || again != key {
		t.Errorf("%v, %v", again, err)
	}
	text := key.String()
	for _, bad := range []string{"", "x", text[1:], text[:20] + text[21:], strings.TrimSuffix(text, key.Token), text + ".x"} {
		_, err := control.ParseKey(bad)
		if err == nil || strings.Contains(err.Error(), key.Token) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func keyOf(t *testing.T, folder string, renew bool) control.Key {
	t.Helper()
	key, err := Key(t.Context(), folder, renew)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheControlSocketIsForItsOwnerOnly(t *testing.T) {
	folder := newFolder(t)
	inside(t, Options{DataDir: folder})
	info, err := os.Stat(filepath.Join(folder, control.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestARouteCanHaveAnAddressOfItsOwn(t *testing.T) {
	address, client := inside(t, Options{})
	app, own := newApplication(t, 1, 0), newApplication(t, 2, 0)
	serveShop(t, client, app.backend(1))
	route := control.Route{Name: "own/production", Hosts: []string{"*"}, Listen: []string{"127.0.0.1:0"}}
	if _, err := client.PutRoute(soon(t), keeper(), route); err == nil {
		t.Error("a common address was given to one route")
	}
	route.Listen = []string{"localhost:0"}
	if _, err := client.PutRoute(soon(t), keeper(), route); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBackends(soon(t), keeper(), route.Name, []control.Backend{own.backend(1)}); err != nil {
		t.Fatal(err)
	}
	ownAddress := listenerOf(stateOf(t, client), "localhost:0")
	for at, want := range map[string]string{address: "1 x", ownAddress: "2 x"} {
		if answer, err := ask(soon(t), http.DefaultClient, at, "/", "x"); err != nil || answer != want {
			t.Errorf("%s answers %q, %v", at, answer, err)
		}
	}
	if err := client.RemoveRoute(soon(t), keeper(), route.Name, true); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(soon(t), &http.Client{Transport: &http.Transport{}}, ownAddress, "/", "x"); err == nil {
		t.Error("its address still answers")
	}
}

func listenerOf(state control.State, asked string) string {
	for _, l := range state.Listeners {
		if l.Asked == asked {
			return l.Address
		}
	}
	return ""
}
