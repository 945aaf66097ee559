package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// keepAlive is the pace of the signs of life where nothing else is said.
	keepAlive = 5 * time.Second
	// maxSessions is how many scripts run at once on one connection. A host's standard is ten (MaxSessions of
	// sshd_config(5)), and somebody else may have set less.
	maxSessions = 8
)

// connection is one to a host, from its dialling to its end.
type connection struct {
	client   *ssh.Client
	room     chan struct{} // one for each session that runs
	dead     chan struct{} // closed when nothing comes through any more
	lastWord error         // why; read it once dead is closed
	ending   sync.Once
}

// errSilent is why a connection ends whose other side gave no sign of life.
var errSilent = errors.New("no sign of life")

// dial makes a connection through raw, which it closes when that fails.
func dial(ctx context.Context, raw net.Conn, s settings) (*connection, error) {
	hostKeys, err := knownOf(s)
	if err != nil {
		return nil, errors.Join(&Error{Host: s.name, Kind: ErrSettings, Err: err}, raw.Close())
	}
	shown := keysOf(s)
	defer shown.close()
	var unknown error
	config := &ssh.ClientConfig{
		User:              s.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(shown.signers...)},
		HostKeyAlgorithms: hostKeys.algorithms(),
		HostKeyCallback: func(name string, remote net.Addr, key ssh.PublicKey) error {
			unknown = hostKeys.accept(name, remote, key)
			return unknown
		},
		ClientVersion: "SSH-2.0-Towpath",
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // which ends the handshake
	talk, channels, requests, err := ssh.NewClientConn(raw, s.address, config)
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		_ = raw.Close() // it is of no use any more
		return nil, refusal(ctx, s, hostKeys, shown, unknown, err)
	}
	c := &connection{
		client: ssh.NewClient(talk, channels, requests),
		room:   make(chan struct{}, maxSessions), dead: make(chan struct{}),
	}
	go c.await()
	go c.keepAlive(s.keepAlive)
	return c, nil
}

// refusal gives what ended a handshake its kind, and words.
func refusal(ctx context.Context, s settings, k known, shown keys, unknown, err error) error {
	var other *ssh.AlgorithmNegotiationError
	switch {
	case unknown != nil:
		return unknown
	case ctx.Err() != nil:
		return &Error{Host: s.name, Kind: ErrUnreachable, Err: fmt.Errorf("%s: %w", s.address, context.Cause(ctx))}
	case errors.As(err, &other) && len(k.lines) > 0:
		return &Error{Host: s.name, Kind: ErrHostKey, Err: fmt.Errorf("host key has changed: %s has none of the kind that %s:%d has (%w)",
			s.address, k.lines[0].Filename, k.lines[0].Line, err)}
	case strings.Contains(err.Error(), "unable to authenticate"): // x/crypto/ssh has no type for it
		return &Error{Host: s.name, Kind: ErrRefused, Err: shown.refusal(s, err)}
	}
	return &Error{Host: s.name, Kind: ErrUnreachable, Err: fmt.Errorf("%s: %w", s.address, err)}
}

func (c *connection) await() { c.end(c.client.Wait()) }

// end tells everybody that the connection is dead. The first reason counts.
func (c *connection) end(why error) {
	c.ending.Do(func() {
		c.lastWord = why
		close(c.dead)
	})
}

func (c *connection) isAlive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// close ends the connection and what runs through it.
func (c *connection) close() {
	_ = c.client.Close() // it may have ended already
	<-c.dead
}

// keepAlive asks for a sign of life again and again, and closes a connection that gives none.
func (c *connection) keepAlive(pace time.Duration) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-tick.C:
		}
		if !c.answers(pace) {
			c.end(errSilent)     // before its sessions end, so that whoever sees one end does not find it alive
			_ = c.client.Close() // which ends them
			return
		}
	}
}

// answers says that the other side gave a sign of life in time. That it refuses the request is one.
func (c *connection) answers(within time.Duration) bool {
	answered := make(chan error, 1)
	go func() {
		_, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-answered:
		return err == nil
	case <-timer.C:
		return false
	}
}

// session opens a place for one script. The answered function gives the place back.
func (c *connection) session(ctx context.Context) (*ssh.Session, func(), error) {
	select {
	case c.room <- struct{}{}:
	case <-c.dead:
		return nil, nil, c.lost()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	leave := func() { <-c.room }
	type opened struct {
		session *ssh.Session
		err     error
	}
	opening := make(chan opened, 1)
	go func() {
		session, err := c.client.NewSession()
		opening <- opened{session, err}
	}()
	select {
	case o := <-opening:
		if o.err != nil {
			leave()
		}
		return o.session, leave, o.err
	case <-ctx.Done():
		go func() { // it answers, or the connection is found dead
			if o := <-opening; o.err == nil {
				_ = o.session.Close()
			}
			leave()
		}()
		return nil, nil, context.Cause(ctx)
	}
}

func (c *connection) lost() error {
	if c.lastWord != nil {
		return fmt.Errorf("%w: %w", ErrLost, c.lastWord)
	}
	return ErrLost
}
