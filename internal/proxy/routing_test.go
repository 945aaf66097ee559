package proxy

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

func FuzzHostsAreLookedUpInOneForm(f *testing.F) {
	for _, host := range []string{"shop.test", "Shop.Test:8080", "shop.test.", "[::1]:80", "::1", "[", "*", ":80", "a:b:c", "ſhop.test"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, header string) {
		host := hostOf(header)
		if checkHost(host) != nil || host == "*" {
			return // no route can have it
		}
		if again := hostOf(host); again != host {
			t.Errorf("%q becomes %q, and that %q", header, host, again)
		}
		if strings.ContainsAny(host, " /\r\n\"'<>") {
			t.Errorf("%q becomes %q, which a route may name", header, host)
		}
	})
}

func TestAHostHeaderFindsItsRoute(t *testing.T) {
	made := &table{common: make(hosts), routes: make(map[string]*routeTable)}
	for _, host := range []string{"shop.test", "::1", "*"} {
		made.add(control.Route{Name: host, Hosts: []string{host}}, new(routeTable))
	}
	for header, want := range map[string]string{
		"shop.test": "shop.test", "SHOP.test:8080": "shop.test", "shop.test.:80": "shop.test", "[::1]:80": "::1",
		"[::1]": "::1", "other.test": "*", "": "*", "shop.test.evil.test": "*", "*": "*",
	} {
		if got := made.find("", header); got != made.routes[want] {
			t.Errorf("%q does not lead to %q", header, want)
		}
	}
}

func TestTurnsAreSharedExactlyByWeightAndWellMixed(t *testing.T) {
	server := NewServer(Limits{}, slog.New(slog.DiscardHandler))
	server.Apply([]Routing{{
		Route: control.Route{Name: shop, Hosts: []string{"*"}},
		Backends: []control.Backend{
			{ID: "old", Address: "127.0.0.1:1", Weight: 190},
			{ID: "canary", Address: "127.0.0.1:2", Weight: 10},
			{ID: "standby", Address: "127.0.0.1:3", Weight: 0},
		},
	}})
	got := make(map[string]int)
	for range 2000 {
		_, b, _ := server.choose("", httptest.NewRequest(http.MethodGet, "/", nil))
		got[b.id]++
	}
	if got["old"] != 1900 || got["canary"] != 100 || got["standby"] != 0 {
		t.Errorf("of 2000 requests: %v", got)
	}
	if turns := len(server.table.Load().routes[shop].turns); turns != 20 {
		t.Errorf("%d turns where 20 are enough", turns)
	}
}

func TestLatencyBucketsHoldWhatTheySay(t *testing.T) {
	for index := range latencyCount - 1 {
		bound := latencyBound(index)
		if latencyIndex(bound) != index || latencyIndex(bound+time.Microsecond) != index+1 {
			t.Errorf("bucket %d up to %v: its bound is in %d, just above in %d", index, bound,
				latencyIndex(bound), latencyIndex(bound+time.Microsecond))
		}
	}
	var c counters
	for range 99 {
		c.finishRequest(200, 20*time.Millisecond, time.Now(), outcomeWell)
	}
	c.finishRequest(502, 3*time.Second, time.Now(), outcomeConnect)
	read := c.read()
	if median := read.Quantile(0.5); median < 20*time.Millisecond || median > 25*time.Millisecond {
		t.Errorf("median %v", median)
	}
	if longest := read.Quantile(1); longest < 3*time.Second || longest > 4*time.Second {
		t.Errorf("longest %v", longest)
	}
	if read.ByClass != [6]uint64{0, 0, 99, 0, 0, 1} || read.Errors.Connect != 1 || read.Requests != 100 {
		t.Errorf("counted %+v", read)
	}
}

func TestADrainHasOneClockForRequestsAndOneForStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(Limits{}, slog.New(slog.DiscardHandler))
		server.Apply([]Routing{{
			Route:    control.Route{Name: shop, Hosts: []string{"*"}},
			Backends: []control.Backend{{ID: "old", Address: "127.0.0.1:1", Weight: 1}},
		}})
		_, request, _ := server.choose("", httptest.NewRequest(http.MethodGet, "/", nil))
		_, stream, _ := server.choose("", httptest.NewRequest(http.MethodGet, "/", nil))
		stream.turn()
		stuck := control.InFlight{Requests: 1, Streams: 1}
		request.weight.Store(0)
		if request.inFlight() != stuck {
			t.Fatalf("in flight: %+v", request.inFlight())
		}
		time.AfterFunc(time.Minute, stream.endStream)
		result, err := server.Drain(t.Context(), shop, control.DrainRequest{
			Backends: []string{"old"}, Requests: 30 * time.Second, Streams: 5 * time.Minute,
		})
		if err != nil || result.Waited != time.Minute {
			t.Errorf("with a stream of a minute: %+v, %v", result, err)
		}
		result, err = server.Drain(t.Context(), shop, control.DrainRequest{
			Backends: []string{"old"}, Requests: 30 * time.Second, Streams: 5 * time.Minute,
		})
		if err != nil || result.Waited != 30*time.Second || result.Requests.Left != 1 {
			t.Errorf("with a request that does not end: %+v, %v", result, err)
		}
	})
}

func TestPagesSayNothingOfWhatStandsBehind(t *testing.T) {
	address, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	app.kill()
	unreachable := func(accept string) (*http.Response, string) { return get(t, address, shopHost, accept) }
	answer, text := unreachable("text/html")
	if answer.StatusCode != http.StatusBadGateway || !strings.Contains(text, answer.Header.Get("X-Request-Id")) {
		t.Errorf("%s with %q", answer.Status, text)
	}
	for _, secret := range []string{app.address, "127.0.0.1", shop, app.id(), "refused", "dial", "Go"} {
		if strings.Contains(text, secret) {
			t.Errorf("the page tells %q", secret)
		}
	}
	answer, text = unreachable("application/json")
	var told map[string]string
	if err := json.Unmarshal([]byte(text), &told); err != nil || told["code"] != "bad_gateway" || told["request"] == "" {
		t.Errorf("as JSON %s: %q, %v", answer.Status, text, err)
	}
	if answer, _ := get(t, address, "other.test", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown host gets %s", answer.Status)
	}
	if _, err := client.SetWeights(soon(t), keeper(), shop, nil); err != nil {
		t.Fatal(err)
	}
	if answer, _ := unreachable(""); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("without weight: %s", answer.Status)
	}
	route, err := client.Route(soon(t), shop)
	if err != nil || route.Backends[0].Counters.Errors.Connect != 2 || route.Backends[0].Counters.ByClass[5] != 2 {
		t.Errorf("counted %+v, %v", route.Backends[0].Counters, err)
	}
}

func TestTheBackendIsToldWhoAskedAndNotWhatTheClientClaims(t *testing.T) {
	address, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	request, _ := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+address+"/headers", nil)
	request.Host = "Shop.test:8080"
	request.Header.Set("X-Forwarded-For", "6.6.6.6")
	request.Header.Set("Forwarded", "for=6.6.6.6")
	request.Header.Set("Connection", "X-Hop")
	request.Header.Set("X-Hop", "x")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got http.Header
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "Shop.test:8080", "X-Forwarded-Proto": "http",
		"Forwarded": "", "X-Hop": "", "Host": "Shop.test:8080",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q instead of %q", name, got.Get(name), want)
		}
	}
}

func TestAnAnswerThatIsCutReachesTheClientAsCutAndIsCounted(t *testing.T) {
	address, client := inside(t, Options{})
	app := newApplication(t, 1, 0)
	serveShop(t, client, app.backend(1))
	if _, err := ask(soon(t), http.DefaultClient, address, "/half", ""); err == nil {
		t.Error("half an answer passed for a whole one")
	}
	eventually(t, "the cut body counted", func() bool {
		route, err := client.Route(soon(t), shop)
		return err == nil && route.Backends[0].Counters.Errors.CutBody == 1
	})
}

func get(t *testing.T, address, host, accept string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}
