package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// haproxyConfiguration has the environment's backend, and one that the benchmark orders about by itself.
const haproxyConfiguration = `global
  stats socket %[1]s mode 600 level admin expose-fd listeners
defaults
  mode http
  option idle-close-on-response
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend web
  bind %[2]s
  use_backend raw if { hdr(host) raw.test }
  default_backend shop
backend shop
  balance roundrobin
  server-template slot 4 127.0.0.1:1 disabled
backend raw
  balance roundrobin
  server-template slot 2 127.0.0.1:1 disabled
`

// trafficHAProxy is a HAProxy that carries the load.
type trafficHAProxy struct {
	*process
	socket, address string
}

func (s *stage) startHAProxy(ctx context.Context) (*trafficHAProxy, error) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, fmt.Errorf("%w (install Debian's haproxy)", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	h := &trafficHAProxy{socket: s.path("haproxy.sock"), address: address}
	configuration := fmt.Sprintf(haproxyConfiguration, h.socket, address)
	if err := os.WriteFile(s.path("haproxy.cfg"), []byte(configuration), 0o600); err != nil {
		return nil, err
	}
	if h.process, err = s.start("haproxy", nil, program, "-db", "-f", s.path("haproxy.cfg")); err != nil {
		return nil, err
	}
	return h, until(ctx, "HAProxy", func() (bool, error) {
		said, err := h.tell("show info")
		return said != "", err
	})
}

// tell sends one line of commands, as a script would by socat.
func (h *trafficHAProxy) tell(line string) (string, error) {
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	said, err := io.ReadAll(conn)
	return string(said), err
}

// rawHAProxySide moves traffic by commands to the socket, and waits until nothing is in flight.
type rawHAProxySide struct {
	*stage
	haproxy  *trafficHAProxy
	releases int
	old, now *process
}

func newRawHAProxySide(s *stage, haproxy *trafficHAProxy) (*rawHAProxySide, error) {
	r := &rawHAProxySide{stage: s, haproxy: haproxy}
	if _, err := r.prepare(context.Background()); err != nil {
		return nil, err
	}
	_, err := haproxy.tell("set server raw/" + r.slot() + " state ready")
	return r, err
}

func (r *rawHAProxySide) host() string { return "raw.test" }

// slot is the server of the release that was prepared last; the one before has the other.
func (r *rawHAProxySide) slot() string    { return "slot" + strconv.Itoa(1+r.releases%2) }
func (r *rawHAProxySide) oldSlot() string { return "slot" + strconv.Itoa(1+(r.releases+1)%2) }

func (r *rawHAProxySide) prepare(context.Context) (string, error) {
	r.releases++
	release := strconv.Itoa(r.releases)
	p, err := r.start("application"+release, []string{"TOWPATH_RELEASE=" + release}, r.self, "application")
	if err != nil {
		return "", err
	}
	address, err := p.firstLine()
	if err != nil {
		return "", err
	}
	r.old, r.now = r.now, p
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	_, err = r.haproxy.tell("set server raw/" + r.slot() + " addr 127.0.0.1 port " + port)
	return release, err
}

func (r *rawHAProxySide) move(ctx context.Context) error {
	_, err := r.haproxy.tell("set server raw/" + r.slot() + " state ready;set server raw/" + r.oldSlot() + " state maint")
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		said, err := r.haproxy.tell("show stat raw 4 -1")
		if err != nil {
			return err
		}
		for row := range strings.Lines(said) {
			cells := strings.Split(row, ",")
			if len(cells) > 4 && cells[1] == r.oldSlot() && cells[4] == "0" {
				return nil
			}
		}
		<-time.After(2 * time.Millisecond)
	}
	return ctx.Err()
}

func (r *rawHAProxySide) killOld() error { return r.old.kill() }

// measureSwitchHAProxy moves traffic behind HAProxy by a server's deployments and rollbacks, and by commands to its
// socket, in turn.
func measureSwitchHAProxy(ctx context.Context, s *stage) ([]Figure, error) {
	haproxy, err := s.startHAProxy(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := newRawHAProxySide(s, haproxy)
	if err != nil {
		return nil, err
	}
	whole, err := newWholeSide(ctx, s, fmt.Sprintf("{haproxy: {socket: %s, backend: shop}}", haproxy.socket))
	if err != nil {
		return nil, err
	}
	var byRaw, byWhole moves
	for i := range s.rounds(30, 10) {
		s.say("switch behind HAProxy: %d", i+1)
		if err := switchOnce(ctx, haproxy.address, raw, &byRaw); err != nil {
			return nil, fmt.Errorf("switch by commands: %w", err)
		}
		if err := switchOnce(ctx, haproxy.address, whole, &byWhole); err != nil {
			return nil, fmt.Errorf("switch by the server: %w", err)
		}
	}
	return switchFigures("the socket's commands", byRaw, byWhole), errors.Join(byRaw.failure, byWhole.failure)
}
