package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const shop = "shop/production"

var epoch = towpath.Epoch{Number: 7, Holder: "keeper"}

// machine is a proxy that runs, and a driver of it.
type machine struct {
	*testing.T
	*Driver
	address string
}

// newMachine answers a proxy on this machine.
func newMachine(t *testing.T) *machine {
	t.Helper()
	return newMachineWith(t, func(folder string, _ control.State) *Driver { return newDriver(t, folder) })
}

func newMachineWith(t *testing.T, driverOf func(folder string, s control.State) *Driver) *machine {
	t.Helper()
	folder, err := os.MkdirTemp("", "proxy") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan control.State, 1), make(chan error, 1)
	go func() {
		ended <- proxy.Run(ctx, proxy.Options{
			DataDir: folder, Listen: []string{"127.0.0.1:0"}, ControlAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Stop:  proxy.Clocks{Idle: time.Millisecond, Requests: time.Second, Streams: time.Millisecond},
			Ready: func(s control.State) { ready <- s },
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case state := <-ready:
		return &machine{T: t, Driver: driverOf(folder, state), address: state.Listeners[0].Address}
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return nil
	}
}

func newDriver(t *testing.T, folder string) *Driver {
	t.Helper()
	d, err := New(Options{Environment: shop, DataDir: folder, Definition: towpath.EnvironmentDefinition{
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// instance answers its ID, and holds /hold until it is let go, an event stream where it is asked for one.
func (m *machine) instance(id string, letGo <-chan struct{}) towpath.Instance {
	m.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		fmt.Fprintln(w, id)
		if r.URL.Path != "/" {
			w.(http.Flusher).Flush()
			select {
			case <-letGo:
			case <-r.Context().Done():
			}
		}
	}))
	m.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	release, _ := towpath.ParseInstanceID(id)
	return towpath.Instance{ID: id, Release: release, Address: strings.TrimPrefix(server.URL, "http://")}
}

func (m *machine) does(o deploy.Operation, instances ...towpath.Instance) {
	m.Helper()
	if _, err := m.Do(m.Context(), deploy.Order{Epoch: epoch, Operation: o, Instances: instances}); err != nil {
		m.Fatalf("%s: %v", o, err)
	}
}

func (m *machine) traffic(id string) towpath.Traffic {
	m.Helper()
	seen, err := m.Observe(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	for _, i := range seen.Instances {
		if i.ID == id {
			return i.Traffic
		}
	}
	return towpath.Traffic{}
}

// opens a request that goes on, and answers its body.
func (m *machine) opens(path string) *bufio.Reader {
	m.Helper()
	response, err := http.Get("http://" + m.address + path)
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { _ = response.Body.Close() })
	body := bufio.NewReader(response.Body)
	if _, err := body.ReadString('\n'); err != nil {
		m.Fatal(err)
	}
	return body
}

func TestAShiftMovesAllNewRequestsAtOnce(t *testing.T) {
	m := newMachine(t)
	one, two := m.instance("r1-1", nil), m.instance("r2-2", nil)
	seen, err := m.Observe(t.Context())
	if err != nil || len(seen.Instances) != 0 || seen.Address != m.address {
		t.Fatalf("%+v, %v", seen, err)
	}
	for _, weights := range []map[string]int{{"r1-1": 100}, {"r1-1": 0, "r2-2": 100}, {"r1-1": 100, "r2-2": 0}} {
		m.does(deploy.Shift{Weights: weights}, one, two)
		response, err := http.Get("http://" + m.address)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if served := strings.TrimSpace(string(body)); weights[served] != 100 {
			t.Errorf("%q served under %v", served, weights)
		}
	}
	if got := m.traffic("r2-2"); !got.Known || !got.Member || got.Weight != 0 {
		t.Errorf("%+v", got)
	}
	seen, err = m.Observe(t.Context())
	if err != nil || seen.Epoch != epoch {
		t.Errorf("epoch %s, %v", seen.Epoch, err)
	}
}

func TestARouteThatIsNotAsDefinedIsSeenAndPutRightByAShift(t *testing.T) {
	m := newMachine(t)
	one := m.instance("r1-1", nil)
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 100}}, one)
	m.misrouted(false)
	elsewhere := control.Route{Name: m.route.Name, Hosts: []string{"elsewhere.test"}}
	if _, err := m.hand.PutRoute(t.Context(), control.Epoch(epoch), elsewhere); err != nil {
		t.Fatal(err)
	}
	m.misrouted(true)
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 100}}, one)
	m.misrouted(false)
}

func (m *machine) misrouted(is bool) {
	m.Helper()
	if seen, err := m.Observe(m.Context()); err != nil || seen.Misrouted != is {
		m.Errorf("misrouted is %t, %v; want %t", seen.Misrouted, err, is)
	}
}

func TestRequestsAndStreamsHaveClocksOfTheirOwn(t *testing.T) {
	m := newMachine(t)
	letGo := make(chan struct{})
	one, two := m.instance("r1-1", letGo), m.instance("r2-2", nil)
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 100}}, one)
	held, events := m.opens("/hold"), m.opens("/events")
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 0, "r2-2": 100}}, one, two)
	if got := m.traffic("r1-1"); got.Requests != 1 || got.Streams != 1 {
		t.Fatalf("%+v", got)
	}

	m.does(deploy.Drain{Instances: []string{"r1-1"}, Within: 10 * time.Millisecond})
	if got := m.traffic("r1-1"); got.Requests != 1 || got.Streams != 1 {
		t.Errorf("a drain that ran out cut something: %+v", got)
	}
	m.does(deploy.EndStreams{Instances: []string{"r1-1"}, Within: 10 * time.Millisecond})
	if _, err := events.ReadString('\n'); err == nil {
		t.Error("the stream is still open")
	}
	if got := m.traffic("r1-1"); got.Requests != 1 || got.Streams != 0 {
		t.Errorf("ending streams did something else: %+v", got)
	}
	close(letGo)
	m.does(deploy.Drain{Instances: []string{"r1-1"}, Within: time.Minute})
	if _, err := held.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("the request did not end well: %v", err)
	}
	m.does(deploy.Forget{Instances: []string{"r1-1"}})
	if m.traffic("r1-1").Member {
		t.Error("it is not forgotten")
	}
}

func TestWhatServesIsNeitherDrainedNorForgotten(t *testing.T) {
	m := newMachine(t)
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 100}}, m.instance("r1-1", nil))
	for _, o := range []deploy.Operation{
		deploy.Drain{Instances: []string{"r1-1"}, Within: time.Minute}, deploy.Forget{Instances: []string{"r1-1"}},
	} {
		var again *deploy.Retryable
		if _, err := m.Do(t.Context(), deploy.Order{Epoch: epoch, Operation: o}); !errors.As(err, &again) {
			t.Errorf("%s: %v", o, err)
		}
	}
	if got := m.traffic("r1-1"); got.Weight != 100 {
		t.Errorf("%+v", got)
	}
}

func TestAnEarlierKeeperIsRefused(t *testing.T) {
	m := newMachine(t)
	one := m.instance("r1-1", nil)
	m.does(deploy.Shift{Weights: map[string]int{"r1-1": 100}}, one)
	for _, past := range []towpath.Epoch{{Number: 6, Holder: "keeper"}, {Number: 7, Holder: "another"}} {
		order := deploy.Order{
			Epoch: past, Operation: deploy.Shift{Weights: map[string]int{"r1-1": 0}}, Instances: []towpath.Instance{one},
		}
		var stale *deploy.StaleEpoch
		if _, err := m.Do(t.Context(), order); !errors.As(err, &stale) || stale.Seen != epoch {
			t.Errorf("%s: %v", past, err)
		}
	}
}

func TestWithoutAProxyNothingHappenedAndItIsSaidWhatIsMissing(t *testing.T) {
	d := newDriver(t, t.TempDir())
	_, err := d.Observe(t.Context())
	var again *deploy.Retryable
	if !errors.As(err, &again) || !strings.Contains(err.Error(), "towpath proxy") {
		t.Error(err)
	}
}

func TestAnAddressThatIsTakenIsNoUseTryingAgain(t *testing.T) {
	m := newMachine(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m.route.Listen = []string{taken.Addr().String()}
	order := deploy.Order{Epoch: epoch, Operation: deploy.Shift{Weights: map[string]int{}}}
	var permanent *deploy.Permanent
	if _, err := m.Do(t.Context(), order); !errors.As(err, &permanent) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Error(err)
	}
}

func TestVisitorsOfACanaryStayOnTheirSideUntilItIsOver(t *testing.T) {
	m := newMachine(t)
	old, fresh := m.instance("r41-1", nil), m.instance("r42-2", nil)
	for _, c := range []struct {
		shift deploy.Shift
		names bool // visitors are given a name
	}{
		{deploy.Shift{Weights: map[string]int{"r41-1": 75, "r42-2": 25}, Sticky: true}, true},
		{deploy.Shift{Weights: map[string]int{"r41-1": 50, "r42-2": 50}, Sticky: true}, true},
		{deploy.Shift{Weights: map[string]int{"r41-1": 50, "r42-2": 50}}, false},
	} {
		m.does(c.shift, old, fresh)
		response, err := http.Get("http://" + m.address + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if given := response.Header.Get("Set-Cookie"); strings.HasPrefix(given, control.VisitorCookie) != c.names {
			t.Errorf("%+v: the answer sets %q", c.shift, given)
		}
		m.misrouted(false)
	}
}
