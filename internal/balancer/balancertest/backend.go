package balancertest

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
)

// releaseHeader names the release that answers.
const releaseHeader = "X-Release"

// backend is an instance that answers who it is. It holds /hold until it is let go, echoes on /socket, and fails /fail.
type backend struct {
	towpath.Instance
	server   *httptest.Server
	letGo    chan struct{}
	once     sync.Once
	isKilled bool
}

// backend starts an instance of a release.
func (r *rig) backend(release int) *backend {
	r.Helper()
	b := &backend{letGo: make(chan struct{}), Instance: towpath.Instance{
		ID: towpath.InstanceID(release, len(r.backends)+1), Release: release,
		State: towpath.InstanceRunning, Health: towpath.HealthPassing,
	}}
	b.listen()
	r.backends = append(r.backends, b)
	r.Cleanup(b.kill)
	return b
}

// listen has it answer at a new address.
func (b *backend) listen() {
	b.server = httptest.NewServer(b.handler())
	b.Address = strings.TrimPrefix(b.server.URL, "http://")
}

// moves has it answer at another address, as an instance does that was started again.
func (b *backend) moves() {
	old := b.server
	b.listen()
	old.CloseClientConnections()
	old.Close()
}

// kill ends it at once, with all its connections.
func (b *backend) kill() {
	b.isKilled = true
	b.release()
	b.server.CloseClientConnections()
	b.server.Close()
}

// release answers what it holds.
func (b *backend) release() { b.once.Do(func() { close(b.letGo) }) }

func (b *backend) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if took, err := time.ParseDuration(r.URL.Query().Get("takes")); err == nil {
			<-time.After(took)
		}
		b.answer(w)
	})
	mux.HandleFunc("GET /fail", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /hold", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-b.letGo:
		case <-r.Context().Done():
		}
		fmt.Fprintln(w, b.ID)
	})
	mux.HandleFunc("GET /socket", echo)
	return mux
}

// answer names the release and the digest of the answer, as package load wants it.
func (b *backend) answer(w http.ResponseWriter) {
	body := b.ID + "\n"
	digest := sha256.Sum256([]byte(body))
	w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	w.Header().Set(releaseHeader, strconv.Itoa(b.Release))
	_, _ = io.WriteString(w, body)
}

// echo is an upgraded connection that sends back what it gets. It knows one key.
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	if err == nil {
		_, _ = io.Copy(conn, buffered)
	}
}

// held is a request that was sent and is not answered whole.
type held struct {
	conn net.Conn
	body *bufio.Reader
}

// holds sends a request that its instance does not answer yet.
func (r *rig) holds() *held { return r.dials("/hold", "", "200") }

// opens a WebSocket, with the key of RFC 6455, 1.3.
func (r *rig) opens() *held {
	return r.dials("/socket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "101")
}

// dials sends a request on a connection of its own, and reads the head of its answer.
func (r *rig) dials(path, headers, status string) *held {
	r.Helper()
	conn, err := net.Dial("tcp", r.balancer.Address())
	r.must(err)
	r.Cleanup(func() { _ = conn.Close() })
	r.must(conn.SetDeadline(time.Now().Add(2 * patience)))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: shop.test\r\n%s\r\n", path, headers)
	r.must(err)
	h := &held{conn, bufio.NewReader(conn)}
	for n := 0; ; n++ {
		line, err := h.body.ReadString('\n')
		r.must(err)
		if n == 0 && !strings.Contains(line, " "+status+" ") {
			r.Fatalf("%s is answered with %q", path, line)
		}
		if line == "\r\n" {
			return h
		}
	}
}

// isWhole waits for the end of the answer, and says whether it is there.
func (h *held) isWhole(id string) bool {
	for {
		line, err := h.body.ReadString('\n')
		if strings.TrimSpace(line) == id {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// echoes says that the socket is open.
func (h *held) echoes() bool {
	if _, err := io.WriteString(h.conn, "ping\n"); err != nil {
		return false
	}
	line, err := h.body.ReadString('\n')
	return err == nil && line == "ping\n"
}

// isClosed waits until the other side has closed.
func (h *held) isClosed() bool {
	_, err := io.Copy(io.Discard, h.body)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
