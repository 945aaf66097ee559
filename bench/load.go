package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience is how long an answer may take before it counts as failed.
const patience = 30 * time.Second

// asker asks on one connection, and opens another only when that one has ended. It never tries again.
type asker struct {
	address string
	host    string
	conn    net.Conn
	reader  *bufio.Reader
}

// ask makes one request and reads its whole answer. Whatever is not a complete 200 is an error.
func (a *asker) ask(method, path, body string) (answer []byte, err error) {
	if a.conn == nil {
		if err := a.connect(); err != nil {
			return nil, err
		}
	}
	keep := false
	defer func() {
		if !keep {
			a.close()
		}
	}()
	if err := a.send(method, path, body); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(a.reader, nil)
	if err != nil {
		return nil, err
	}
	answer, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	keep = err == nil && !response.Close
	return answer, err
}

func (a *asker) connect() (err error) {
	if a.conn, err = net.Dial("tcp", a.address); err != nil {
		a.conn = nil // not an interface that holds nothing
		return err
	}
	a.reader = bufio.NewReader(a.conn)
	return nil
}

func (a *asker) send(method, path, body string) error {
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, path, a.host)
	if body != "" {
		request += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	_, err := io.WriteString(a.conn, request+"\r\n"+body)
	return err
}

func (a *asker) close() {
	if a.conn != nil {
		_ = a.conn.Close()
		a.conn = nil
	}
}

// hammer asks for the small answer on so many connections, so often on each, and answers how many failed.
func hammer(address, host string, connections, requests int) (failed int, last error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			a := &asker{address: address, host: host}
			defer a.close()
			for range requests {
				answer, err := a.ask(http.MethodGet, "/small", "")
				if err == nil && !bytes.Equal(answer, smallAnswer) {
					err = fmt.Errorf("%d wrong bytes", len(answer))
				}
				if err != nil {
					mu.Lock()
					failed, last = failed+1, err
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return failed, last
}

// answered is one request of a load: who answered it, and when that was complete.
type answered struct {
	release string
	pid     int
	at      time.Time
	failure error
}

// load asks on many connections without a pause.
type load struct {
	stop context.CancelFunc
	wait sync.WaitGroup

	mu      sync.Mutex
	answers []answered
}

func startLoad(address, host string, connections int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for worker := range connections {
		l.wait.Go(func() { l.work(ctx, &asker{address: address, host: host}, worker) })
	}
	return l
}

func (l *load) work(ctx context.Context, a *asker, worker int) {
	defer a.close()
	for turn := 0; ctx.Err() == nil; turn++ {
		sent := fmt.Sprintf("request %d of %d", turn, worker)
		answer, err := a.ask(http.MethodPost, "/", sent)
		got := checked(string(answer), sent, err)
		l.mu.Lock()
		l.answers = append(l.answers, got)
		l.mu.Unlock()
	}
}

// checked checks that an answer is the one to what was sent.
func checked(answer, sent string, err error) answered {
	got := answered{at: time.Now(), failure: err}
	if err != nil {
		return got
	}
	release, rest, _ := strings.Cut(answer, " ")
	pid, echo, _ := strings.Cut(rest, " ")
	got.release = release
	if got.pid, err = strconv.Atoi(pid); err != nil || echo != sent {
		got.failure = fmt.Errorf("wrong answer %q to %q", answer, sent)
	}
	return got
}

// count answers how many requests have ended.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answers)
}

// more waits until so many more requests have ended.
func (l *load) more(ctx context.Context, n int) error {
	target := l.count() + n
	return until(ctx, "answers under load", func() (bool, error) { return l.count() >= target, nil })
}

// end stops asking, waits for what is in flight, and answers all that was answered.
func (l *load) end() []answered {
	l.stop()
	l.wait.Wait()
	return l.answers
}

// soFar answers what was answered by now.
func (l *load) soFar() []answered {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.answers)
}
