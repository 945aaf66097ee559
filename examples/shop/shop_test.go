package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEveryPageNamesTheRelease(t *testing.T) {
	shop := newShop(t.Context(), "42")
	for path, want := range map[string]string{
		"/":        "version " + version() + ", release 42",
		"/healthz": "ok",
		"/release": "42",
		"/work":    "release 42",
	} {
		answer := httptest.NewRecorder()
		shop.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: got %d %.80q, want %q in it", path, answer.Code, answer.Body, want)
		}
		if got := answer.Header().Get("X-Release"); got != "42" {
			t.Errorf("%s: X-Release is %q", path, got)
		}
	}
}

func TestWorkAnswersAsMuchAsAskedWithItsDigest(t *testing.T) {
	answer := httptest.NewRecorder()
	newShop(t.Context(), "42").ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/work?ms=0&kib=3", nil))
	sum := sha256.Sum256(answer.Body.Bytes())
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if got := answer.Header().Get("Content-Digest"); got != want || answer.Body.Len() != 3<<10 {
		t.Errorf("got %d bytes with digest %s, want 3072 with %s", answer.Body.Len(), got, want)
	}
}

func TestWorkRefusesWhatIsNoSensibleNumber(t *testing.T) {
	for _, query := range []string{"ms=-1", "ms=soon", "ms=60001", "kib=16385", "kib=1e3"} {
		answer := httptest.NewRecorder()
		newShop(t.Context(), "42").ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/work?"+query, nil))
		if answer.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d", query, answer.Code)
		}
	}
}

// opened serves a handler on a port of its own. Calling shut asks it to close; left gets what serve returned.
func opened(t *testing.T, handler func(open context.Context) http.Handler) (url string, shut func(), left chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	left = make(chan error, 1)
	go func() { left <- serve(ctx, listener, handler(ctx)) }()
	return "http://" + listener.Addr().String(), cancel, left
}

func TestARequestInHandIsFinishedBeforeClosing(t *testing.T) {
	inHand, closing := make(chan struct{}), make(chan struct{})
	url, shut, left := opened(t, func(open context.Context) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(inHand)
			<-closing
			newShop(open, "42").ServeHTTP(w, r)
		})
	})
	go func() {
		<-inHand
		shut()
		close(closing)
	}()
	if body := get(t, url+"/work?ms=50&kib=1"); len(body) != 1<<10 {
		t.Errorf("got %d bytes, want 1024", len(body))
	}
	if err := <-left; err != nil {
		t.Errorf("serve returned %v", err)
	}
}

func TestAStreamEndsWhenTheShopCloses(t *testing.T) {
	url, shut, left := opened(t, func(open context.Context) http.Handler { return newShop(open, "42") })
	answer, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	if line, err := lines.ReadString('\n'); line != "event: tick\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	shut()
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if err := <-left; err != nil {
		t.Errorf("serve returned %v", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
