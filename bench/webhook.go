package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const (
	deliverySize  = 8 << 10 // bytes of a delivery's body
	callers       = 64      // connections at once
	pushes        = 64      // different bodies
	answeredAlone = 5       // ms, the goal
	busyRate      = 2000    // deliveries a second
	busyGoal      = 100     // ms, of 99 in a hundred
	burstRate     = 5000
	burstGoal     = 500
)

// webhooks is a forge that calls a server's webhook.
type webhooks struct {
	*stage
	*server
	bodies  [][]byte // signed requests without the delivery's ID
	calls   atomic.Int64
	mutex   sync.Mutex
	taken   map[string]bool // deliveries that were acknowledged
	refused int             // calls that were not answered, or not with 2xx
}

// measureWebhook delivers pushes one by one, at a steady rate, as fast as it goes, and while the server is killed.
func measureWebhook(ctx context.Context, s *stage) ([]Figure, error) {
	w := &webhooks{stage: s, taken: map[string]bool{}}
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	s.say("webhook: one at a time")
	alone, err := w.oneByOne(ctx, s.rounds(500, 100))
	if err != nil {
		return nil, err
	}
	figures := []Figure{
		{Name: "delivery answered, alone, median", Ours: quantile(alone, 0.5), Unit: "ms", Goal: AtMost(answeredAlone)},
		{Name: "delivery answered, alone, p99", Ours: quantile(alone, 0.99), Unit: "ms"},
	}
	seconds := time.Duration(s.rounds(10, 4)) * time.Second
	for _, rate := range []struct{ rate, goal int }{{busyRate, busyGoal}, {burstRate, burstGoal}} {
		s.say("webhook: %d a second", rate.rate)
		took, err := w.steadily(ctx, rate.rate, seconds, nil)
		if err != nil {
			return nil, err
		}
		figures = append(figures,
			Figure{Name: fmt.Sprintf("answered at %d a second, median", rate.rate), Ours: quantile(took, 0.5), Unit: "ms"},
			Figure{Name: fmt.Sprintf("answered at %d a second, p99", rate.rate), Ours: quantile(took, 0.99), Unit: "ms", Goal: AtMost(float64(rate.goal))})
	}
	s.say("webhook: as fast as it goes")
	fastest, each, err := w.fastest(ctx, seconds)
	if err != nil {
		return nil, err
	}
	figures = append(figures,
		Figure{Name: "durable deliveries a second, 64 at once", Ours: fastest, Unit: "deliveries/s", Goal: AtLeast(burstRate)},
		Figure{Name: "CPU a delivery, of the server", Ours: each, Unit: "µs"})
	if w.refused > 0 {
		return nil, fmt.Errorf("%d deliveries were not taken though nobody killed anything", w.refused)
	}
	s.say("webhook: the server is killed meanwhile")
	killed, err := w.survives(ctx, seconds)
	return append(figures, killed...), err
}

func (w *webhooks) open(ctx context.Context) (err error) {
	if w.server, err = w.startServer(ctx, "--no-worker"); err != nil {
		return err
	}
	made, err := w.newRepository(ctx, "hooked", "pipeline: hooked\non: {push: {branches: [release]}, poll: off}\nsteps:\n  - {test: unit, run: make}\n")
	if err != nil {
		return err
	}
	if _, err := w.AddProject(ctx, client.NewProject{URL: made.dir, Name: "hooked"}); err != nil {
		return err
	}
	hook, err := w.RotateWebhook(ctx, "hooked")
	if err != nil {
		return err
	}
	tip, err := exec.CommandContext(ctx, "git", "-C", made.dir, "rev-parse", "main").Output()
	if err != nil {
		return err
	}
	for n := range pushes {
		w.bodies = append(w.bodies, delivery(hook, n, strings.TrimSpace(string(tip))))
	}
	return nil
}

// delivery is a signed request that tells of a push to a branch, as large as forges send them: with what else they say of
// it. The header that names it is left to the end.
func delivery(hook client.Webhook, n int, revision string) []byte {
	say := map[string]any{
		"ref": fmt.Sprintf("refs/heads/branch-%d", n), "before": strings.Repeat("0", 40), "after": revision, "repository": "bench/hooked",
	}
	var commits []map[string]string
	for size := 0; size < deliverySize-600; size += 300 {
		commits = append(commits, map[string]string{
			"id": hex.EncodeToString(sum(fmt.Sprint(n, size))), "message": fmt.Sprintf("change %d of what is sold in aisle %d", size, n),
			"url":    "https://forge.example.com/bench/hooked/commit/" + hex.EncodeToString(sum(fmt.Sprint(size, n))),
			"author": "Ada Lovelace <ada@example.com>",
		})
	}
	say["commits"] = commits
	body, _ := json.Marshal(say) // texts and lists of them
	body = append(body, bytes.Repeat([]byte(" "), max(0, deliverySize-len(body)))...)
	mac := hmac.New(sha256.New, []byte(hook.Secret))
	mac.Write(body)
	host, path, _ := strings.Cut(strings.TrimPrefix(hook.URL, "http://"), "/")
	head := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Towpath-Event: push\r\nTowpath-Signature: sha256=%s\r\nTowpath-Delivery: %%s\r\n\r\n",
		path, host, len(body), hex.EncodeToString(mac.Sum(nil)))
	return append([]byte(head), body...)
}

func sum(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:20]
}

// caller is one connection of the forge.
type caller struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

// call makes a delivery, and answers whether it was acknowledged. It never tries again.
func (c *caller) call(request []byte, id string) bool {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return false
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(bytes.Replace(request, []byte("%s"), []byte(id), 1)); err != nil {
		return c.broken()
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return c.broken()
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err != nil || response.Close {
		c.broken()
	}
	return err == nil && response.StatusCode/100 == 2
}

func (c *caller) broken() bool {
	_ = c.conn.Close()
	c.conn = nil
	return false
}

// deliver makes the next delivery over a connection, and notes whether it was taken.
func (w *webhooks) deliver(c *caller) {
	n := w.calls.Add(1)
	id := "bench-" + strconv.FormatInt(n, 10)
	isTaken := c.call(w.bodies[n%pushes], id)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if isTaken {
		w.taken["id:"+id] = true
	} else {
		w.refused++
	}
}

func (w *webhooks) connection() *caller {
	return &caller{address: strings.TrimPrefix(w.Address(), "http://")}
}

func (w *webhooks) oneByOne(ctx context.Context, count int) (took []float64, err error) {
	c := w.connection()
	for range count {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		began := time.Now()
		w.deliver(c)
		took = append(took, milliseconds(time.Since(began)))
	}
	c.broken()
	return took, nil
}

// steadily makes deliveries at a rate, whatever became of those before. Each is timed from the moment at which it was due,
// so that one that waited for a connection has waited.
func (w *webhooks) steadily(ctx context.Context, rate int, lasts time.Duration, meanwhile func() error) (took []float64, err error) {
	var next atomic.Int64
	var all sync.WaitGroup
	var mutex sync.Mutex
	began, count := time.Now(), int64(lasts.Seconds()*float64(rate))
	for range callers {
		all.Go(func() {
			c := w.connection()
			var mine []float64
			for ctx.Err() == nil {
				n := next.Add(1)
				if n > count {
					break
				}
				due := began.Add(time.Duration(n) * time.Second / time.Duration(rate))
				time.Sleep(time.Until(due))
				w.deliver(c)
				mine = append(mine, milliseconds(time.Since(due)))
			}
			mutex.Lock()
			defer mutex.Unlock()
			took = append(took, mine...)
		})
	}
	if meanwhile != nil {
		err = meanwhile()
	}
	all.Wait()
	return took, errors.Join(err, ctx.Err())
}

// fastest answers how many deliveries are taken in a second where each connection makes one after the other, and the
// server's CPU time for each, in µs.
func (w *webhooks) fastest(ctx context.Context, lasts time.Duration) (rate, each float64, err error) {
	before, err := cpu(w.pid())
	if err != nil {
		return 0, 0, err
	}
	first, began := w.calls.Load(), time.Now()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for c := w.connection(); time.Since(began) < lasts && ctx.Err() == nil; {
				w.deliver(c)
			}
		})
	}
	all.Wait()
	took, made := time.Since(began), float64(w.calls.Load()-first)
	after, err := cpu(w.pid())
	return made / took.Seconds(), float64((after - before).Microseconds()) / made, errors.Join(err, ctx.Err())
}

// survives kills the server in the midst of a burst, starts it again, and compares what was acknowledged with what is
// stored.
func (w *webhooks) survives(ctx context.Context, lasts time.Duration) ([]Figure, error) {
	var ready time.Duration
	began := w.calls.Load()
	_, err := w.steadily(ctx, burstRate, lasts, func() (err error) {
		select {
		case <-time.After(lasts / 2):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.kill(); err != nil {
			return err
		}
		again := time.Now()
		w.server, err = w.startServerAt(ctx, strings.TrimPrefix(w.Address(), "http://"), "--no-worker")
		ready = time.Since(again)
		return err
	})
	if err != nil {
		return nil, err
	}
	stored, doubled, err := w.stored(ctx)
	if err != nil {
		return nil, err
	}
	lost := 0
	for id := range w.taken {
		if !stored[id] {
			lost++
		}
	}
	return []Figure{
		{Name: "deliveries of the burst in which the server was killed", Ours: float64(w.calls.Load() - began), Unit: "deliveries"},
		{Name: "of them not acknowledged", Ours: float64(w.refused), Unit: "deliveries"},
		{Name: "acknowledged and not stored, of all", Ours: float64(lost), Unit: "deliveries", Goal: AtMost(0)},
		{Name: "stored twice", Ours: float64(doubled), Unit: "deliveries", Goal: AtMost(0)},
		{Name: "of so many acknowledged", Ours: float64(len(w.taken)), Unit: "deliveries"},
		{Name: "server ready after the kill", Ours: milliseconds(ready), Unit: "ms", Goal: AtMost(readyGoal)},
	}, nil
}

// stored answers the keys of all that the server has, and how many stand there twice.
func (w *webhooks) stored(ctx context.Context) (keys map[string]bool, doubled int, err error) {
	keys = map[string]bool{}
	page := client.Page{Limit: 500}
	for {
		part, err := w.Deliveries(ctx, "hooked", page)
		if err != nil {
			return nil, 0, err
		}
		for _, d := range part {
			if keys[d.Key] {
				doubled++
			}
			keys[d.Key] = true
		}
		if len(part) < page.Limit {
			return keys, doubled, nil
		}
		page.Before = strconv.Itoa(part[len(part)-1].ID)
	}
}
