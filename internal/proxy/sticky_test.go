package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// divided answers a server whose release 42 has so many percent of a sticky route.
func divided(share int) *Server {
	server := NewServer(Limits{}, slog.New(slog.DiscardHandler))
	server.Apply([]Routing{{
		Route: control.Route{Name: shop, Hosts: []string{"*"}, Sticky: true},
		Backends: []control.Backend{
			{ID: "old-1", Release: 41, Address: "127.0.0.1:1", Weight: (100 - share) / 2},
			{ID: "old-2", Release: 41, Address: "127.0.0.1:2", Weight: (100 - share) - (100-share)/2},
			{ID: "new", Release: 42, Address: "127.0.0.1:3", Weight: share},
		},
	}})
	return server
}

// releaseFor answers who takes a visitor's request.
func releaseFor(s *Server, name string) int {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.AddCookie(&http.Cookie{Name: control.VisitorCookie, Value: name})
	_, b, _ := s.choose("", request)
	return b.release
}

func TestVisitorsAreDividedAsTheWeightsSayWhateverTheirNamesLookLike(t *testing.T) {
	const visitors = 20_000
	for _, share := range []int{1, 5, 25, 50, 90} {
		server := divided(share)
		for _, format := range []string{"%d", "visitor-%08d", "%d-visitor", "%032x"} {
			count := 0
			for n := range visitors {
				if releaseFor(server, fmt.Sprintf(format, n)) == 42 {
					count++
				}
			}
			p := float64(share) / 100
			deviation := math.Sqrt(visitors * p * (1 - p))
			if off := math.Abs(float64(count) - visitors*p); off > 5*deviation {
				t.Errorf("%d of %d visitors named %s are at the new side, which has %d%%", count, visitors, format, share)
			}
		}
	}
}

func TestPropertyNobodyLeavesTheNewestReleaseWhileItsShareGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9]{1,40}`).Draw(t, "name")
		less := rapid.IntRange(1, 98).Draw(t, "less")
		more := rapid.IntRange(less+1, 99).Draw(t, "more")
		first, afterRestart := releaseFor(divided(less), name), releaseFor(divided(less), name)
		if first != afterRestart {
			t.Errorf("%s is not known again", name)
		}
		if first == 42 && releaseFor(divided(more), name) != 42 {
			t.Errorf("%s left at %d%%", name, more)
		}
	})
}

func TestNamesThatAreNoneMakeAnotherVisitor(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", longestVisitor+1)} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Cookie", control.VisitorCookie+"="+name)
		if v := visitorOf(shop, request); v.fresh == "" {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestAVisitorStaysOnOneSideAndTheApplicationsOwnCookiesStand(t *testing.T) {
	address, client := inside(t, Options{})
	put(t, client, true, newApplication(t, 41, 0).backend(50), newApplication(t, 42, 0).backend(50))
	seen := make(map[string]int)
	for range 40 {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar, Transport: &http.Transport{}}
		first := visit(t, browser, address)
		seen[first]++
		for range 5 {
			if again := visit(t, browser, address); again != first {
				t.Fatalf("first %q, then %q", first, again)
			}
		}
		if kept := jar.Cookies(&url.URL{Scheme: "http", Host: address}); len(kept) != 2 {
			t.Fatalf("the browser keeps %v", kept)
		}
		browser.CloseIdleConnections()
	}
	if len(seen) != 2 {
		t.Errorf("forty visitors all came to %v", seen)
	}
}

func TestNoCookieIsGivenWhereThereIsNothingToChooseBetween(t *testing.T) {
	address, client := inside(t, Options{})
	old, fresh := newApplication(t, 41, 0), newApplication(t, 42, 0)
	for _, c := range []struct {
		isSticky bool
		weight   int
	}{{true, 0}, {false, 50}} {
		put(t, client, c.isSticky, old.backend(50), fresh.backend(c.weight))
		answer, err := fetch(t, http.DefaultClient, address)
		if err != nil {
			t.Fatal(err)
		}
		if given := answer.Header.Values("Set-Cookie"); len(given) != 1 { // the application's own
			t.Errorf("sticky %t, new side %d: %v", c.isSticky, c.weight, given)
		}
	}
}

// put sets the route, for whatever host is asked.
func put(t *testing.T, client *control.Client, isSticky bool, backends ...control.Backend) {
	t.Helper()
	route := control.Route{Name: shop, Hosts: []string{control.AnyHost}, Sticky: isSticky}
	if _, err := client.PutRoute(soon(t), keeper(), route); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBackends(soon(t), keeper(), shop, backends); err != nil {
		t.Fatal(err)
	}
}

func visit(t *testing.T, browser *http.Client, address string) string {
	t.Helper()
	answer, err := fetch(t, browser, address)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", answer.Status, content, err)
	}
	return string(content)
}

func fetch(t *testing.T, browser *http.Client, address string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(soon(t), http.MethodGet, "http://"+address+"/cookie", http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := browser.Do(request)
	if err == nil {
		t.Cleanup(func() { answer.Body.Close() })
	}
	return answer, err
}
