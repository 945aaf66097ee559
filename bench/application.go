package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// smallAnswer is what /small answers: 1 KiB.
var smallAnswer = bytes.Repeat([]byte("0123456789abcdef"), 64)

// releaseHeader names the release that an answer is from.
const releaseHeader = "X-Release"

// tickEvery is how often the stream says that it lives.
const tickEvery = 50 * time.Millisecond

// applicationMain is an instance of a release. It listens on PORT, of BENCH_IP if there is one, and prints its address.
func applicationMain(args []string) int {
	handler := 20 * time.Millisecond
	if len(args) > 0 {
		handler, _ = time.ParseDuration(args[0])
	}
	return serveUntilTold(newApplication(os.Getenv("TOWPATH_RELEASE"), handler))
}

// serveUntilTold serves until SIGTERM, and then finishes what it has begun.
func serveUntilTold(handler http.Handler) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv("BENCH_IP"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "0")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitShort
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr())
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	_ = server.Shutdown(ending)
	return exitMet
}

// newApplication answers after so long, and names its release and the digest of its answer.
func newApplication(release string, handler time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /small", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(smallAnswer) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
	mux.HandleFunc("GET /release", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, release) })
	mux.HandleFunc("GET /socket", socket)
	mux.HandleFunc("GET /pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { answerAfter(w, release, handler) })
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) { answerAfter(w, release, longRequest) })
	return mux
}

// answerAfter answers as package load wants it: with the release in a header, and the digest of the body (RFC 9530).
func answerAfter(w http.ResponseWriter, release string, takes time.Duration) {
	<-time.After(takes)
	digest := sha256.Sum256(smallAnswer)
	w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	w.Header().Set(releaseHeader, release)
	_, _ = w.Write(smallAnswer)
}

// socket is a WebSocket that says again and again that it lives. Nobody checks keys here.
func socket(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for err == nil {
		<-time.After(tickEvery)
		_, err = conn.Write([]byte("\x81\x04tick")) // RFC 6455, 5.2: a whole text frame of four bytes
	}
}
