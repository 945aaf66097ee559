package keeper

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// balancer notes how long each order may take.
type balancer struct {
	deploy.Driver
	isFencing bool
	deadlines []time.Time
}

func (b *balancer) Can() deploy.Capabilities { return deploy.Capabilities{Fencing: b.isFencing} }

func (b *balancer) Do(ctx context.Context, _ deploy.Order) (deploy.Receipt, error) {
	deadline, _ := ctx.Deadline()
	b.deadlines = append(b.deadlines, deadline)
	return deploy.Receipt{}, nil
}

func TestAnOrderThatNobodyCanRefuseEndsWithTheLease(t *testing.T) {
	shift, drain := deploy.Shift{Weights: map[string]int{}}, deploy.Drain{Within: time.Minute}
	for _, tt := range []struct {
		name      string
		operation deploy.Operation
		isFencing bool
		left      time.Duration // of the lease
		isGiven   bool
		isBounded bool // by the lease
	}{
		{name: "a lease that lasts", operation: shift, left: 10 * time.Second, isGiven: true, isBounded: true},
		{name: "one that is about to end", operation: shift, left: 4 * time.Second},
		{name: "who can refuse is told all the same", operation: shift, isFencing: true, left: 4 * time.Second, isGiven: true},
		{name: "a drain changes nothing", operation: drain, left: 4 * time.Second, isGiven: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &balancer{isFencing: tt.isFencing}
			p := keeping(t, b)
			end := time.Now().Add(tt.left)
			p.keeper.link.isUp, p.keeper.link.expiresAt = true, end
			err := p.carry(t.Context(), deploy.Facts{}, deploy.Step{Operation: tt.operation})
			var silent unheard
			if tt.isGiven && err != nil || !tt.isGiven && !errors.As(err, &silent) || tt.isGiven != (len(b.deadlines) == 1) {
				t.Fatalf("%v, %d orders", err, len(b.deadlines))
			}
			if !tt.isGiven && len(p.keeper.kicked) == 0 {
				t.Error("the server is not asked for a longer lease")
			}
			if tt.isGiven && b.deadlines[0].Equal(end) != tt.isBounded {
				t.Errorf("the order has until %s, the lease until %s", b.deadlines[0], end)
			}
		})
	}
}

func TestWhoWaitsForALongerLeaseIsWokenByIt(t *testing.T) {
	now := time.Now()
	answer := client.KeepAnswer{Now: now, Expires: now.Add(12 * time.Second)}
	for name, tt := range map[string]struct {
		isUp  bool
		left  time.Duration // of the lease
		wakes bool
	}{
		"a lease that lasted":             {isUp: true, left: 8 * time.Second},
		"one that was about to end":       {isUp: true, left: 4 * time.Second, wakes: true},
		"a server that did not answer":    {left: 8 * time.Second, wakes: true},
		"a lease that was over, and mute": {left: -time.Second, wakes: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := &link{isUp: tt.isUp, expiresAt: now.Add(tt.left)}
			if wakes := l.renewed(answer); wakes != tt.wakes {
				t.Errorf("it wakes: %v", wakes)
			}
		})
	}
}

// keeping makes a performer whose balancer is b, and whose server does not answer.
func keeping(t *testing.T, b deploy.Driver) *performer {
	t.Helper()
	nobody, err := client.New("http://127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{
		options: Options{Client: nobody, Logger: slog.New(slog.DiscardHandler)},
		folder:  t.TempDir(), link: new(link), kicked: make(chan struct{}, 1),
	}
	p := k.performerOf(client.KeeperOrder{Environment: towpath.Environment{Key: "shop/production"}, Now: time.Now()})
	t.Cleanup(func() { _ = p.journal.close() })
	p.drivers.Balancer = b
	return p
}
