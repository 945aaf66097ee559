package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long an answer may take before it counts as failed.
const patience = 30 * time.Second

// asker asks on one connection, and opens another only when that one has ended. It never tries again. It costs less than
// package load, which measures what users notice, and not how much can be asked.
type asker struct {
	address string
	host    string
	conn    net.Conn
	reader  *bufio.Reader
}

// ask makes one request and reads its whole answer. Whatever is not a complete 200 is an error.
func (a *asker) ask(path string) (answer []byte, err error) {
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
	if err := a.send(path); err != nil {
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

func (a *asker) send(path string) error {
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path, a.host)
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
				answer, err := a.ask("/small")
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
