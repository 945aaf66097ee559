package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed VERSION
var versionFile string

// version is what the VERSION file said when the shop was built.
func version() string { return strings.TrimSpace(versionFile) }

// shop answers for one release.
type shop struct {
	open    context.Context // done when the shop closes, so that streams end
	release string          // the number that Towpath gave this release
	baskets baskets
}

// newShop returns the shop's pages. Every answer names the release in X-Release.
func newShop(open context.Context, release string) http.Handler {
	s := shop{open: open, release: release, baskets: newBaskets(stock)}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", s.front)
	pages.HandleFunc("GET /healthz", s.health)
	pages.HandleFunc("GET /release", s.which)
	pages.HandleFunc("GET /work", s.work)
	pages.HandleFunc("GET /events", s.events)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Release", release)
		pages.ServeHTTP(w, r)
	})
}

// front is the page that customers see.
func (s shop) front(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var rows strings.Builder
	for _, a := range articles {
		fmt.Fprintf(&rows, "<tr><td>%s<td>%s<td>%s\n", html.EscapeString(a.name), total(a, 1), total(a, bulk))
	}
	fmt.Fprintf(w, page, html.EscapeString(version()), html.EscapeString(s.release), bulk, rows.String())
}

const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Shop</title>
<h1>Shop</h1>
<p>version %s, release %s
<table><tr><th>article<th>one<th>%d
%s</table>
`

func (s shop) health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (s shop) which(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.release) }

// work needs a basket, takes ms milliseconds (20) and answers kib KiB (8), with their SHA-256 in Content-Digest
// (RFC 9530), so that a client can tell a whole answer from a cut or mixed one.
func (s shop) work(w http.ResponseWriter, r *http.Request) {
	ms, err := number(r, "ms", 20, 60_000)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kib, err := number(r, "kib", 8, 16<<10)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !s.baskets.take() {
		slog.Error("no basket is free", "path", r.URL.Path, "release", s.release)
		http.Error(w, "no basket is free", http.StatusServiceUnavailable)
		return
	}
	defer s.baskets.giveBack()
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-r.Context().Done():
		return
	}
	body := bytes.Repeat(fmt.Appendf(nil, "release %-55s\n", s.release), kib<<10/64)
	sum := sha256.Sum256(body)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	w.Write(body)
}

// number reads a parameter between 0 and most, which is usual when it is absent.
func number(r *http.Request, name string, usual, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s must be a number from 0 to %d, not %q", name, most, text)
	}
	return n, nil
}

// events sends the release and the time every second (Server-Sent Events), until the client or the shop goes.
func (s shop) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := time.Now(); ; {
		fmt.Fprintf(w, "event: tick\ndata: release %s at %s\n\n", s.release, now.UTC().Format(time.RFC3339))
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case now = <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.open.Done():
			return
		}
	}
}
