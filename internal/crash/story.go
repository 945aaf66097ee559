package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

const (
	// Clients is how many requests are in flight at most.
	Clients = keptClients + freshClients

	keptClients  = 2
	freshClients = 2

	callLimit = 15 * time.Second
	callPause = 50 * time.Millisecond

	// patience is how long anything may take, with everybody being killed.
	patience = 4 * time.Minute
)

// Story is what people and programs do in a world until it is to rest.
type Story struct {
	*World
	actors []actor
	load   *load.Load // of the shop
	beside *load.Load // of the trial
	rest   context.CancelFunc
	acting sync.WaitGroup

	mutex  sync.Mutex
	losses []Loss
	acted  int
}

// Loss is something that was acknowledged and is not so, or something that is so and should not be.
type Loss struct {
	Kind string // one of the constants below
	What string
}

// The kinds of losses.
const (
	LostEvent  = "an acknowledged event is lost"
	Doubled    = "an effect is doubled"
	WrongEnd   = "something ended wrongly"
	LeftBehind = "something is left behind"
)

func (l Loss) String() string { return l.Kind + ": " + l.What }

// actor does one thing after the other.
type actor interface {
	// act does the next thing, and returns when it has come to its end. The error is one of the story, not of the product.
	act(ctx context.Context) error
	// judge says what is not as it was acknowledged.
	judge(ctx context.Context) ([]Loss, error)
}

// Begin lets everybody act. The first deployment has gone live when it returns, and requests go on.
func (w *World) Begin(ctx context.Context) (*Story, error) {
	s := &Story{World: w}
	acting, rest := context.WithCancel(ctx)
	s.rest = rest
	shop, err := newShop(ctx, s)
	if err != nil {
		return s, err
	}
	if err := bounded(ctx, shop.act); err != nil {
		return s, err
	}
	s.load = load.Start(ctx, load.Options{
		Address: w.Traffic, Host: shopHost, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: keptClients, Fresh: freshClients,
		Pause: 5 * time.Millisecond, Timeout: 20 * time.Second, Label: "X-Release",
	})
	s.actors = append(s.actors, shop)
	for _, open := range []func(context.Context, *Story) (actor, error){newTrial, newTools, newMill, newTeam, newClerk, newJanitor} {
		a, err := open(ctx, s)
		if err != nil {
			return s, err
		}
		s.actors = append(s.actors, a)
	}
	for _, a := range s.actors {
		s.acting.Go(func() { s.goOn(acting, a) })
	}
	return s, nil
}

// bounded has somebody act, who does not wait for ever.
func bounded(ctx context.Context, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errEndless)
	defer cancel()
	return act(ctx)
}

// goOn has an actor act until it is to rest. What it has begun it brings to its end.
func (s *Story) goOn(ctx context.Context, a actor) {
	for ctx.Err() == nil {
		if err := bounded(context.WithoutCancel(ctx), a.act); err != nil {
			s.lose(WrongEnd, "%T: %v", a, err)
			return
		}
		s.mutex.Lock()
		s.acted++
		s.mutex.Unlock()
	}
}

var errEndless = errors.New("it does not come to an end")

// Acted answers how many things were done from beginning to end.
func (s *Story) Acted() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.acted
}

// Report answers what became of the requests so far.
func (s *Story) Report() load.Report { return s.load.Report() }

// Settle waits until every client of the load has had an answer to a new request.
func (s *Story) Settle(ctx context.Context) error { return s.load.Settle(ctx) }

func (s *Story) lose(kind, format string, values ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.losses = append(s.losses, Loss{kind, fmt.Sprintf(format, values...)})
}

// ask calls until the server answers. isUnsure says that an earlier call, whose answer did not come, may have been heard as
// well.
func (s *Story) ask(ctx context.Context, do func(context.Context) error) (isUnsure bool, err error) {
	for {
		calling, cancel := context.WithTimeout(ctx, callLimit)
		err = do(calling)
		cancel()
		var said *client.Error
		if err == nil || ctx.Err() != nil || !errors.As(err, &said) || !said.Temporary() {
			return isUnsure, err
		}
		isUnsure = true
		if err := pause(ctx, callPause); err != nil {
			return isUnsure, err
		}
	}
}

// has says that an error is the server's, of one of the codes.
func has(err error, codes ...string) bool {
	said, is := errors.AsType[*client.Error](err)
	return is && slices.Contains(codes, said.Code)
}

// awaits asks until something holds. What the server does not answer at the moment is asked again.
func (s *Story) awaits(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	for {
		var is bool
		_, err := s.ask(ctx, func(ctx context.Context) (err error) {
			is, err = holds(ctx)
			return err
		})
		if is {
			return nil
		}
		if err == nil || has(err, "not_found") {
			err = pause(ctx, callPause)
		}
		if err != nil {
			return fmt.Errorf("until %s: %w", what, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
