package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath/client"
)

// followers are the steps of the crowd's pipeline that the end of another makes ready.
var followers = map[string]string{"shop": "unit", "unit": "browser", "browser": "publish"}

// stepOf names a step of a run.
type stepOf struct{ run, step string }

// crowdBench is many workers, and what they and who starts runs know of each step.
type crowdBench struct {
	address  string
	workers  []*crowdWorker
	mu       sync.Mutex
	readyAt  map[stepOf]time.Time   // when the call was sent that makes it ready
	leased   map[stepOf][]time.Time // when a worker had it in its hands
	logs     map[stepOf]string
	failures int // calls that were answered with an error, or not at all
}

func newCrowd(address string) *crowdBench {
	return &crowdBench{
		address: address, readyAt: map[stepOf]time.Time{}, leased: map[stepOf][]time.Time{}, logs: map[stepOf]string{},
	}
}

// crowdWorker makes the calls that a worker with one slot makes, at its pace, with its key, over its own connections.
// What it does not do is the step: no checkout, no process. So one machine can be two hundred.
type crowdWorker struct {
	*crowdBench
	*client.Client
	name string
}

// register lets every worker in by a one-time token of its own.
func (c *crowdBench) register(ctx context.Context, server *server) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(8)
	c.workers = make([]*crowdWorker, crowd)
	for n := range c.workers {
		all.Go(func() (err error) {
			c.workers[n], err = c.newWorker(ctx, server, fmt.Sprintf("barge-%03d", n))
			return err
		})
	}
	return all.Wait()
}

func (c *crowdBench) newWorker(ctx context.Context, server *server, name string) (*crowdWorker, error) {
	token, err := server.NewWorkerToken(ctx)
	if err != nil {
		return nil, err
	}
	anonymous, err := client.New(c.address, "")
	if err != nil {
		return nil, err
	}
	defer anonymous.Close()
	registered, err := anonymous.Register(ctx, client.Registration{
		Token: token.Token, Machine: uuid.NewString(), Name: name, OS: "linux", Arch: "amd64", Slots: 1, Version: "bench",
	})
	if err != nil {
		return nil, err
	}
	own, err := client.New(c.address, registered.Key)
	return &crowdWorker{crowdBench: c, Client: own, name: name}, err
}

// work takes one step after the other until ctx ends. What it had in hand then it leaves.
func (w *crowdWorker) work(ctx context.Context) error {
	defer w.Close()
	for ctx.Err() == nil {
		lease, err := w.Lease(ctx, "bench", rand.Text())
		if err == nil && lease != nil {
			w.noteLease(lease.LeaseRef)
			err = w.perform(ctx, lease)
		}
		if err != nil && ctx.Err() == nil {
			w.noteFailure()
			_ = pass(ctx, time.Second)
		}
	}
	return nil
}

// keep asks for environments to keep, as every worker does: there are none.
func (w *crowdWorker) keep(ctx context.Context) error {
	holder := rand.Text()
	for ctx.Err() == nil {
		if _, err := w.Keep(ctx, client.KeepRequest{Holder: holder}); err != nil && ctx.Err() == nil {
			w.noteFailure()
			_ = pass(ctx, time.Second)
		}
	}
	return nil
}

// perform renews, prints twice a second, and reports.
func (w *crowdWorker) perform(ctx context.Context, lease *client.StepLease) error {
	printing, renewing := time.NewTicker(500*time.Millisecond), time.NewTicker(time.Duration(lease.RenewEvery*float64(time.Second)))
	defer printing.Stop()
	defer renewing.Stop()
	ended := time.NewTimer(stepTime())
	defer ended.Stop()
	var log strings.Builder
	err := w.print(ctx, lease.LeaseRef, &log)
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-printing.C:
			err = w.print(ctx, lease.LeaseRef, &log)
		case <-renewing.C:
			_, err = w.Renew(ctx, lease.LeaseRef)
		case <-ended.C:
			return w.report(ctx, lease.LeaseRef, log.String())
		}
	}
	return err
}

// print sends twenty lines to the end of the step's log.
func (w *crowdWorker) print(ctx context.Context, lease client.LeaseRef, log *strings.Builder) error {
	var piece strings.Builder
	for n := range 20 {
		fmt.Fprintf(&piece, "%s: line %d after %d bytes of step %s\n", w.name, n, log.Len(), lease.Step)
	}
	held, err := w.AppendLog(ctx, lease, int64(log.Len()), strings.NewReader(piece.String()))
	log.WriteString(piece.String())
	if err == nil && held != int64(log.Len()) {
		err = errors.New("the server does not hold what it was sent")
	}
	return err
}

// report notes what the report makes ready before it is sent.
func (w *crowdWorker) report(ctx context.Context, lease client.LeaseRef, log string) error {
	w.noteLog(lease, log)
	if next, ok := followers[lease.Step]; ok {
		w.ready(lease.Run, next, time.Now())
	}
	return w.Finish(ctx, lease, client.StepReport{State: "passed", LogSize: int64(len(log))})
}

func (c *crowdBench) ready(run, step string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readyAt[stepOf{run, step}] = at
}

func (c *crowdBench) noteLease(l client.LeaseRef) {
	at := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leased[stepOf{l.Run, l.Step}] = append(c.leased[stepOf{l.Run, l.Step}], at)
}

func (c *crowdBench) noteLog(l client.LeaseRef, log string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs[stepOf{l.Run, l.Step}] = log
}

func (c *crowdBench) noteFailure() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
}

// sent answers what was sent of a step's log, and whether exactly one worker was given the step, once.
func (c *crowdBench) sent(run, step string) (log string, once bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := stepOf{run, step}
	return c.logs[key], len(c.leased[key]) == 1
}
