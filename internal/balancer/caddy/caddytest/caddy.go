// Package caddytest runs a real Caddy for tests and benchmarks.
package caddytest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// patience bounds whatever is waited for.
const patience = time.Minute

// ID is the name of the handler whose upstreams are the environment's.
const ID = "shop"

// RawHost is the host whose requests go to another handler, RawID, for those who order it about by themselves.
const (
	RawHost = "raw.test"
	RawID   = "raw"
)

// T is what a test or a benchmark has to have.
type T interface {
	Helper()
	Cleanup(func())
	Fatal(...any)
	Fatalf(string, ...any)
}

// Caddy is one of its own.
type Caddy struct {
	Admin   string // host:port where it takes orders
	Address string // host:port where it takes requests

	folder  string
	args    []string
	process *exec.Cmd
}

// configuration has two reverse proxies without upstreams, whose answers are marked.
const configuration = `{"admin": {"listen": %q}, "apps": {"http": {"servers": {"shop": {"listen": [%q], "automatic_https": {"disable": true}, "routes": [
	{"match": [{"host": [%q]}], "terminal": true, "handle": [{"@id": %q, "handler": "reverse_proxy", "upstreams": []}]},
	{"handle": [{"handler": "headers", "response": {"set": {"Via": ["caddy"]}}}, {"@id": %q, "handler": "reverse_proxy", "upstreams": []}]}
]}}}}}`

// Start runs one, with further arguments of `caddy run`. It is stopped in the end.
func Start(t T, args ...string) *Caddy {
	t.Helper()
	folder, err := os.MkdirTemp("", "caddy") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	c := &Caddy{Admin: freeAddress(t), Address: freeAddress(t), folder: folder, args: args}
	t.Cleanup(func() {
		c.Stop(t)
		_ = os.RemoveAll(folder)
	})
	config := fmt.Sprintf(configuration, c.Admin, c.Address, RawHost, RawID, ID)
	if err := os.WriteFile(c.File("caddy.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Start(t)
	return c
}

// File is one in its folder, in which sockets fit.
func (c *Caddy) File(name string) string { return filepath.Join(c.folder, name) }

// Start runs it, and waits until it takes orders and requests.
func (c *Caddy) Start(t T) {
	t.Helper()
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Fatal("this needs Caddy: make packages, or apt-get install --no-install-recommends caddy")
	}
	log, err := os.OpenFile(c.File("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.process = exec.Command(program, append([]string{"run", "--config", c.File("caddy.json")}, c.args...)...)
	c.process.Env = append(os.Environ(), "HOME="+c.folder, "XDG_CONFIG_HOME="+c.folder, "XDG_DATA_HOME="+c.folder)
	c.process.Stdout, c.process.Stderr = log, log
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !c.answers(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Caddy does not answer:\n%s", c.said())
		}
	}
}

func (c *Caddy) answers() bool {
	orders, err := http.Get("http://" + c.Admin + "/config/")
	if err != nil {
		return false
	}
	_ = orders.Body.Close() // that it came is enough
	connection, err := net.Dial("tcp", c.Address)
	if err != nil {
		return false
	}
	_ = connection.Close() // so is this
	return true
}

// Stop ends it at once.
func (c *Caddy) Stop(T) {
	if c.process != nil {
		_ = c.process.Process.Kill()
		_ = c.process.Wait() // it was killed
		c.process = nil
	}
}

// said is the end of its log.
func (c *Caddy) said() string {
	log, _ := os.ReadFile(c.File("log"))
	return string(log[max(0, len(log)-2000):])
}

// freeAddress is one that nothing listens on.
func freeAddress(t T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
