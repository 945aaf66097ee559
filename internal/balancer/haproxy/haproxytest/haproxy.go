// Package haproxytest runs a real HAProxy for tests, as systemd would.
package haproxytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds whatever is waited for.
const patience = 30 * time.Second

// Backend is the name of the backend.
const Backend = "shop"

// HAProxy is one with a frontend and a backend.
type HAProxy struct {
	Socket  string // where it takes orders of level admin
	Limited string // where it takes those of level operator
	Address string // where it takes requests

	folder  string
	running []running
}

// running is a process of it, of which there are several after a reload.
type running struct {
	process *exec.Cmd
	ended   chan struct{}
}

// Start runs one whose backend has so many servers to be given addresses, and further lines. It is stopped in the end.
func Start(t testing.TB, slots int, lines ...string) *HAProxy {
	t.Helper()
	folder, err := os.MkdirTemp("", "haproxy") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	h := &HAProxy{
		Socket: filepath.Join(folder, "admin.sock"), Limited: filepath.Join(folder, "operator.sock"),
		Address: freeAddress(t), folder: folder,
	}
	t.Cleanup(func() {
		h.Stop(t)
		_ = os.RemoveAll(folder)
	})
	if err := os.WriteFile(h.path("haproxy.cfg"), []byte(h.configuration(slots, lines)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start(t)
	return h
}

func (h *HAProxy) path(name string) string { return filepath.Join(h.folder, name) }

// configuration is that of docs/balancers.md.
func (h *HAProxy) configuration(slots int, lines []string) string {
	if slots > 0 {
		lines = append(lines, fmt.Sprintf("server-template slot %d 127.0.0.1:1 disabled", slots))
	}
	return fmt.Sprintf(`global
  stats socket %s mode 600 level admin expose-fd listeners
  stats socket %s mode 600 level operator
  server-state-file %s
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1h
  option idle-close-on-response
  load-server-state-from-file global
frontend web
  bind %s
  default_backend %s
backend %s
  balance roundrobin
  %s
`, h.Socket, h.Limited, h.path("state"), h.Address, Backend, Backend, strings.Join(lines, "\n  "))
}

// Start runs it, without what an earlier one may have left behind.
func (h *HAProxy) Start(t testing.TB) {
	t.Helper()
	_ = os.Remove(h.path("state"))
	h.launch(t, "")
}

// launch runs a process, which takes over from the one before where its arguments say so.
func (h *HAProxy) launch(t testing.TB, before string, arguments ...string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatalf("%v (install Debian's haproxy)", err)
	}
	log, err := os.OpenFile(h.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	process := exec.Command(program, append([]string{"-db", "-f", h.path("haproxy.cfg")}, arguments...)...)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	h.running = append(h.running, running{process, ended})
	h.await(t, before)
}

// Stop ends it, and those that it has followed, at once.
func (h *HAProxy) Stop(t testing.TB) {
	t.Helper()
	for _, r := range h.running {
		_ = r.process.Process.Kill()
		<-r.ended
	}
	h.running = nil
}

// Reload has a successor take over its sockets, and its servers by way of a file.
func (h *HAProxy) Reload(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(h.path("state"), []byte(h.Tell(t, "show servers state")), 0o600); err != nil {
		t.Fatal(err)
	}
	h.renew(t)
}

// ReloadAfter has a successor take over with the state from before what is done meanwhile.
func (h *HAProxy) ReloadAfter(t testing.TB, meanwhile func()) {
	t.Helper()
	state := []byte(h.Tell(t, "show servers state"))
	meanwhile()
	if err := os.WriteFile(h.path("state"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	h.renew(t)
}

// ReloadWithoutState has a successor take over its sockets alone.
func (h *HAProxy) ReloadWithoutState(t testing.TB) {
	t.Helper()
	_ = os.Remove(h.path("state"))
	h.renew(t)
}

func (h *HAProxy) renew(t testing.TB) {
	t.Helper()
	before := line(h.Tell(t, "show info"), "Pid: ")
	h.launch(t, before, "-x", h.Socket, "-sf", before)
}

// await waits until another process answers than that of before.
func (h *HAProxy) await(t testing.TB, before string) {
	t.Helper()
	last := h.running[len(h.running)-1]
	for deadline := time.Now().Add(patience); ; {
		said, err := exchange(h.Socket, "show info")
		if pid := line(said, "Pid: "); err == nil && pid != "" && pid != before {
			return
		}
		select {
		case <-last.ended:
			t.Fatalf("haproxy ended: %s", h.said())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("haproxy does not answer: %s", h.said())
		}
	}
}

// Tell sends it a command, as a person would by socat.
func (h *HAProxy) Tell(t testing.TB, command string) string {
	t.Helper()
	said, err := exchange(h.Socket, command)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func exchange(socket, command string) (string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	said, err := io.ReadAll(conn)
	return string(said), err
}

// ServerAt answers the name of the server that has an address.
func (h *HAProxy) ServerAt(t testing.TB, address string) string {
	t.Helper()
	for row := range strings.Lines(h.Tell(t, "show stat "+Backend+" 4 -1")) {
		if cells := strings.Split(row, ","); len(cells) > 73 && cells[73] == address {
			return cells[1]
		}
	}
	t.Fatalf("no server has the address %s", address)
	return ""
}

// Get answers what is served under a path.
func (h *HAProxy) Get(t testing.TB, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+h.Address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return Ask(t, request)
}

// Ask answers what is served to a request, on a connection of its own.
func Ask(t testing.TB, request *http.Request) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func (h *HAProxy) said() string {
	content, _ := os.ReadFile(h.path("log"))
	return string(content)
}

func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(l, prefix); is {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
