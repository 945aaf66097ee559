package web_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// TestAStreamEndsWithTheRightToIt takes rights away from people who look at what has no end.
func TestAStreamEndsWithTheRightToIt(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	h.brings(h.worker("north-1"), "shop")
	for name, take := range map[string]func(person) error{
		"token": func(p person) error { return p.RemoveToken(t.Context(), "laptop") },
		"role": func(p person) error {
			_, err := h.owner.PutAccount(t.Context(), client.Account{Name: p.name, Email: p.name + "@example.com"})
			return err
		},
		"signs-out": func(p person) error { return p.SignOut(t.Context()) },
		"account":   func(p person) error { return h.owner.RemoveAccount(t.Context(), p.name) },
	} {
		t.Run(name, func(t *testing.T) {
			who := h.person(name, "viewer", "shop")
			for _, path := range []string{"/api/v1/environments/shop/staging/events", "/environments/shop/staging/events"} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+path, nil)
				must(t, err)
				request.Header.Set("Authorization", "Bearer "+who.token)
				response, err := http.DefaultClient.Do(request)
				must(t, err)
				defer response.Body.Close()
				stream := bufio.NewReader(response.Body)
				if line, err := stream.ReadString('\n'); err != nil || response.StatusCode != http.StatusOK {
					t.Fatalf("%s begins with %d %q: %v", path, response.StatusCode, line, err)
				}
				defer h.endsSoon(path, stream)
			}
			must(t, take(who))
		})
	}
}

// endsSoon fails where a stream goes on for longer than it takes to be asked again by itself.
func (h *house) endsSoon(path string, stream io.Reader) {
	h.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stream)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil && !strings.Contains(err.Error(), "EOF") {
			h.Errorf("%s ends with %v", path, err)
		}
	case <-time.After(12 * time.Second):
		h.Errorf("%s goes on", path)
	}
}
