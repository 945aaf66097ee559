package haproxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/haproxy/haproxytest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// answers runs an instance that answers its ID.
func answers(t *testing.T, id string) towpath.Instance {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, id) }))
	t.Cleanup(server.Close)
	release, _ := towpath.ParseInstanceID(id)
	return towpath.Instance{
		ID: id, Release: release, Address: strings.TrimPrefix(server.URL, "http://"), State: towpath.InstanceRunning,
	}
}

func shift(d *Driver, t *testing.T, weights map[string]int, instances ...towpath.Instance) error {
	t.Helper()
	_, err := d.Do(t.Context(), deploy.Order{Operation: deploy.Shift{Weights: weights}, Instances: instances})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func observe(t *testing.T, d *Driver) towpath.Observation {
	t.Helper()
	seen, err := d.Observe(t.Context())
	must(t, err)
	return seen
}

func TestSeveralHAProxiesFollowTogether(t *testing.T) {
	left, right := haproxytest.Start(t, 4), haproxytest.Start(t, 0)
	d := open(t, left.Socket, right.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 100}, one))
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	for _, h := range []*haproxytest.HAProxy{left, right} {
		if got := h.Get(t, "/"); got != "r2-2" {
			t.Errorf("%s serves", got)
		}
	}
	merged := deploy.Merge(towpath.Observation{Instances: []towpath.Instance{one, two}}, observe(t, d), true)
	if len(merged.Instances) != 2 || merged.Instances[1].Traffic.Weight != 100 || merged.Misrouted {
		t.Errorf("%+v", merged)
	}

	right.Tell(t, fmt.Sprintf("set server %s/%s weight 7", haproxytest.Backend, right.ServerAt(t, two.Address)))
	if seen := observe(t, d); !seen.Misrouted {
		t.Errorf("they give different shares: %+v", seen)
	}
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	if seen := observe(t, d); seen.Misrouted {
		t.Errorf("they give the same shares: %+v", seen)
	}
}

func TestWhereOneOfSeveralIsAwayNothingIsKnown(t *testing.T) {
	left, right := haproxytest.Start(t, 4), haproxytest.Start(t, 4)
	d := open(t, left.Socket, right.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 100}, one))
	right.Stop(t)
	var again *deploy.Retryable
	if _, err := d.Observe(t.Context()); !errors.As(err, &again) || !strings.Contains(err.Error(), right.Socket) {
		t.Errorf("%v", err)
	}
	if err := shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two); !errors.As(err, &again) {
		t.Errorf("%v", err)
	}
	right.Start(t)
	if seen := observe(t, d); !seen.Misrouted || !seen.Renewed {
		t.Errorf("one has followed, the other has begun anew: %+v", seen)
	}
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	if got := right.Get(t, "/"); got != "r2-2" {
		t.Errorf("%s serves", got)
	}
}

func TestAReloadWithoutStateIsSeenAsLossAndMended(t *testing.T) {
	h := haproxytest.Start(t, 4)
	d := open(t, h.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 100, "r2-2": 0}, one, two))
	h.ReloadWithoutState(t)
	if seen := observe(t, d); !seen.Renewed || len(seen.Instances) != 0 {
		t.Errorf("%+v", seen)
	}
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	if got := h.Get(t, "/"); got != "r2-2" {
		t.Errorf("%s serves", got)
	}
	seen := observe(t, d)
	for _, i := range seen.Instances {
		if i.Traffic.Weight == 0 && !i.Traffic.Uncounted {
			t.Errorf("requests may be in flight in the process before: %+v", i)
		}
	}
}

func TestAShiftWhileTheSuccessorIsOnItsWayIsSeenToBeLost(t *testing.T) {
	h := haproxytest.Start(t, 4)
	d := open(t, h.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 100, "r2-2": 0}, one, two))
	h.ReloadAfter(t, func() { must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two)) })
	if got := h.Get(t, "/"); got != "r1-1" {
		t.Fatalf("%s serves: the successor was to come with what was saved before the shift", got)
	}
	if seen := observe(t, d); !seen.Renewed {
		t.Errorf("%+v", seen)
	}
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	if got := h.Get(t, "/"); got != "r2-2" {
		t.Errorf("%s serves", got)
	}
}

func TestWhatHAProxyHoldsForDownIsTold(t *testing.T) {
	h := haproxytest.Start(t, 4, "default-server check inter 10ms fall 1")
	d := open(t, h.Socket)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, dead.Close())
	one := towpath.Instance{ID: "r1-1", Release: 1, Address: dead.Addr().String()}
	must(t, shift(d, t, map[string]int{"r1-1": 100}, one))
	for deadline := time.Now().Add(30 * time.Second); ; {
		seen := observe(t, d)
		if problem := seen.Instances[0].Problem; strings.Contains(problem, "down") && strings.Contains(problem, "refused") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", seen.Instances)
		}
	}
}

func TestACookieDoesNotHoldVisitorsBack(t *testing.T) {
	h := haproxytest.Start(t, 4, "cookie S insert indirect nocache dynamic", "dynamic-cookie-key k")
	d := open(t, h.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 100, "r2-2": 0}, one, two))
	response, err := http.Get("http://" + h.Address)
	must(t, err)
	must(t, response.Body.Close())
	must(t, shift(d, t, map[string]int{"r1-1": 0, "r2-2": 100}, one, two))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Address, http.NoBody)
	must(t, err)
	if len(response.Cookies()) != 1 {
		t.Fatalf("%v", response.Header)
	}
	request.AddCookie(response.Cookies()[0])
	if got := haproxytest.Ask(t, request); got != "r2-2" {
		t.Errorf("%s serves a visitor of the old side", got)
	}
}

func TestItsOwnCookieKeepsVisitorsOfACanaryWhereTheyAreUntilTheirSideHasNoShare(t *testing.T) {
	h := haproxytest.Start(t, 4, "cookie shop insert indirect nocache dynamic", "dynamic-cookie-key some-words-of-your-own")
	d := open(t, h.Socket)
	one, two := answers(t, "r1-1"), answers(t, "r2-2")
	must(t, shift(d, t, map[string]int{"r1-1": 75, "r2-2": 25}, one, two))
	visitors := map[string]*http.Client{}
	for range 100 { // until both sides have one
		v := visitor(t)
		visitors[ask(t, v, h.Address)] = v
		if len(visitors) == 2 {
			break
		}
	}
	if len(visitors) != 2 {
		t.Fatalf("of 100 visitors none came to one side: %v", visitors)
	}
	stay := func() {
		t.Helper()
		for side, v := range visitors {
			for range 10 {
				if got := ask(t, v, h.Address); got != side {
					t.Fatalf("%s serves a visitor of %s", got, side)
				}
			}
		}
	}
	stay()
	must(t, shift(d, t, map[string]int{"r1-1": 10, "r2-2": 90}, one, two))
	stay()
	must(t, shift(d, t, map[string]int{"r1-1": 100, "r2-2": 0}, one, two))
	for side, v := range visitors {
		if got := ask(t, v, h.Address); got != "r1-1" {
			t.Errorf("gone back, %s serves a visitor of %s", got, side)
		}
	}
}

// visitor keeps cookies, and no connections.
func visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
}

// ask is a request of a visitor.
func ask(t *testing.T, v *http.Client, address string) string {
	t.Helper()
	response, err := v.Get("http://" + address)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}

func TestABackupServerIsTheUsersOwn(t *testing.T) {
	sorry := answers(t, "sorry")
	h := haproxytest.Start(t, 4, "server sorry "+sorry.Address+" backup")
	d := open(t, h.Socket)
	if got := h.Get(t, "/"); got != "sorry" {
		t.Fatalf("%q", got)
	}
	if seen := observe(t, d); len(seen.Instances) != 0 {
		t.Errorf("%+v", seen.Instances)
	}
	must(t, shift(d, t, map[string]int{"r1-1": 100}, answers(t, "r1-1")))
	if got := h.Get(t, "/"); got != "r1-1" {
		t.Errorf("%q", got)
	}
}

func TestManyMembersAreMovedAtOnce(t *testing.T) {
	h := haproxytest.Start(t, 150)
	d := open(t, h.Socket)
	weights := make(map[string]int)
	var instances []towpath.Instance
	for n := range 200 {
		i := towpath.Instance{ID: towpath.InstanceID(1, n+1), Release: 1, Address: fmt.Sprintf("127.0.0.1:%d", 20001+n)}
		instances, weights[i.ID] = append(instances, i), 100
	}
	must(t, shift(d, t, weights, instances...))
	if seen := observe(t, d); len(seen.Instances) != 200 {
		t.Errorf("%d members", len(seen.Instances))
	}
}

func TestWhatHAProxyRefusesIsExplained(t *testing.T) {
	h := haproxytest.Start(t, 1)
	static := haproxytest.Start(t, 0, "balance static-rr")
	nowhere := filepath.Join(t.TempDir(), "admin.sock")
	one := answers(t, "r1-1")
	for _, tt := range []struct {
		name, socket, backend, hint string
		isPermanent                 bool
	}{
		{"level", h.Limited, haproxytest.Backend, "level admin", true},
		{"backend", h.Socket, "elsewhere", "name a backend", true},
		{"algorithm", static.Socket, haproxytest.Backend, "roundrobin", true},
		{"away", nowhere, haproxytest.Backend, "stats socket " + nowhere, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := New(Options{Environment: "shop/production", Definition: towpath.EnvironmentDefinition{
				Balancer: towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{Sockets: []string{tt.socket}, Backend: tt.backend}},
			}})
			must(t, err)
			err = shift(d, t, map[string]int{"r1-1": 100}, one)
			var permanent *deploy.Permanent
			if errors.As(err, &permanent) != tt.isPermanent || err == nil || !strings.Contains(err.Error(), tt.hint) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSocketsAreNamedAsHAProxyDoes(t *testing.T) {
	for name, want := range map[string]socket{
		"/run/haproxy/admin.sock":        {"/run/haproxy/admin.sock", "unix", "/run/haproxy/admin.sock"},
		"unix:///run/haproxy/admin.sock": {"unix:///run/haproxy/admin.sock", "unix", "/run/haproxy/admin.sock"},
		"tcp://lb1:9999":                 {"tcp://lb1:9999", "tcp", "lb1:9999"},
	} {
		if got, err := parseSocket(name); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, name := range []string{"admin.sock", "tcp://lb1", "ssh://lb1", ""} {
		if _, err := parseSocket(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestTheKindAndItsDriverDeclareTheSame(t *testing.T) {
	definition := towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{}}
	can, kind := (&Driver{}).Can(), definition.Can()
	if kind.Weights != (can.Weights > 1) || kind.Sessions != can.Sessions || kind.Fencing != can.Fencing {
		t.Errorf("%+v, and %+v", kind, can)
	}
}

func TestAMachineIsKnownByItsName(t *testing.T) {
	h := haproxytest.Start(t, 4)
	one := answers(t, "r1-1")
	_, port, err := net.SplitHostPort(one.Address)
	must(t, err)
	one.Address = net.JoinHostPort("localhost", port)
	d := open(t, h.Socket)
	must(t, shift(d, t, map[string]int{"r1-1": 100}, one))
	if got := h.Get(t, "/"); got != "r1-1" {
		t.Errorf("%s serves", got)
	}
	merged := deploy.Merge(towpath.Observation{Instances: []towpath.Instance{one}}, observe(t, d), true)
	if len(merged.Instances) != 1 || merged.Instances[0].Traffic.Weight != 100 {
		t.Errorf("%+v", merged.Instances)
	}
}
