package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// longRequest is how long the long request takes.
const longRequest = 10 * time.Second

// acrossASwitch has a long request and a WebSocket in flight while the traffic moves away from under them.
func acrossASwitch(ctx context.Context, proxy *trafficProxy, w *wholeSide) ([]Figure, error) {
	if _, err := w.prepare(ctx); err != nil {
		return nil, err
	}
	stream, err := openSocket(proxy.address, w.host())
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	answer := make(chan error, 1)
	go func() { answer <- askLong(proxy.address, w.host()) }()
	if err := inFlight(ctx, proxy); err != nil {
		return nil, err
	}
	began := time.Now()
	deployment, err := w.order(ctx)
	if err != nil {
		return nil, err
	}
	closed := make(chan time.Duration, 1)
	go func() {
		_, _ = io.Copy(io.Discard, stream)
		closed <- time.Since(began)
	}()
	failed := 0.0
	failure := <-answer
	if failure != nil {
		failed, failure = 1, fmt.Errorf("the long request: %w", failure)
	}
	lived := (<-closed).Seconds()
	return []Figure{
		{Name: "failed, a request of 10 s across a switch", Ours: failed, Unit: "requests", Goal: AtMost(0)},
		{Name: "a WebSocket lived on after a switch", Ours: lived, Unit: "s", Reference: "drain time", Limit: drainTime.Seconds(), Goal: AtLeast(drainTime.Seconds())},
	}, errors.Join(failure, w.await(ctx, deployment))
}

func askLong(address, host string) error {
	a := &asker{address: address, host: host}
	defer a.close()
	answer, err := a.ask("/long")
	if err == nil && !bytes.Equal(answer, smallAnswer) {
		err = fmt.Errorf("%d wrong bytes", len(answer))
	}
	return err
}

// inFlight waits until the proxy has the long request and the stream in its hands.
func inFlight(ctx context.Context, proxy *trafficProxy) error {
	return until(ctx, "a request and a stream in flight", func() (bool, error) {
		route, err := proxy.Route(ctx, environmentKey)
		for _, b := range route.Backends {
			if b.InFlight.Requests > 0 && b.InFlight.Streams > 0 {
				return true, err
			}
		}
		return false, err
	})
}

// openSocket opens a WebSocket, and has its first frame.
func openSocket(address, host string) (net.Conn, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(status, "101") {
		err = errors.New("no WebSocket: " + strings.TrimSpace(status))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// restartUnderLoad has the proxy handed over to a successor, and stopped and started, under load.
func restartUnderLoad(ctx context.Context, s *stage, proxy *trafficProxy, host string) ([]Figure, error) {
	l := startLoad(ctx, proxy.address, host)
	defer l.Stop()
	for range s.rounds(3, 2) {
		if err := settle(ctx, l); err != nil {
			return nil, err
		}
		successor, err := s.startProxy(ctx, proxy.address)
		if err != nil {
			return nil, err
		}
		if err := settle(ctx, l); err != nil {
			return nil, err
		}
		if err := successor.end(); err != nil {
			return nil, err
		}
		if _, err := s.startProxy(ctx, proxy.address); err != nil {
			return nil, err
		}
	}
	if err := settle(ctx, l); err != nil {
		return nil, err
	}
	var all moves
	all.count(l.Stop())
	return []Figure{
		{Name: "failed, the proxy handed over and restarted under load", Ours: float64(all.failed), Unit: "requests", Goal: AtMost(0)},
		{Name: "of so many, the proxy restarted", Ours: float64(all.requests), Unit: "requests"},
	}, all.failure
}
