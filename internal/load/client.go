package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// client sends one request after the other.
type client struct {
	options Options
	book    *book
	number  int
	isFresh bool
	line    *line // nil where it has none
}

// ask sends a request and checks the answer, which it counts. It says whether the answer was whole and right.
func (c *client) ask(ctx context.Context, t Target) bool {
	turn := c.book.begin()
	defer c.book.finished(c.number, turn)
	side, err := c.exchange(ctx, t)
	switch {
	case err == nil:
		c.book.answered(side)
	case ctx.Err() != nil:
		c.book.forget()
	default:
		c.book.failed(side, t.Path, err)
	}
	if err != nil || c.isFresh {
		c.hangUp()
	}
	return err == nil
}

// exchange also answers which side gave an answer that is wrong, where it names one.
func (c *client) exchange(ctx context.Context, t Target) (side string, err error) {
	if c.line == nil {
		if c.line, err = dial(ctx, c.options); err != nil {
			return "", err
		}
	}
	answer, err := c.line.request(t.Path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if err := check(answer, t); err != nil {
		return answer.Header.Get(c.options.Label), err
	}
	if answer.Close {
		c.hangUp()
	}
	return sideOf(answer, c.options.Label)
}

func (c *client) hangUp() {
	if c.line != nil {
		c.line.close()
		c.line = nil
	}
}

// line is a connection.
type line struct {
	options Options
	conn    net.Conn
	reader  *bufio.Reader
	unbind  func() bool
}

// dial makes a connection, which is cut when ctx ends.
func dial(ctx context.Context, o Options) (*line, error) {
	address := o.Address
	if o.Find != nil {
		found, err := o.Find(ctx)
		if err != nil {
			return nil, fmt.Errorf("find: %w", err)
		}
		address = found
	}
	conn, err := (&net.Dialer{Timeout: o.Timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	unbind := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &line{options: o, conn: conn, reader: bufio.NewReader(conn), unbind: unbind}, nil
}

// request sends one, and answers as soon as the headers of the answer are there. Its body is on the same clock.
func (l *line) request(path string) (*http.Response, error) {
	if err := l.extend(); err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: towpath-load\r\n\r\n", path, l.options.Host)
	if _, err := l.conn.Write(request); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	answer, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return answer, nil
}

// extend begins the clock anew.
func (l *line) extend() error { return l.conn.SetDeadline(time.Now().Add(l.options.Timeout)) }

func (l *line) close() {
	l.unbind()
	_ = l.conn.Close()
}
