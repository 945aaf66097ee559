package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

// releaseHeader is how the shop's answers name the release that gave them.
const releaseHeader = "X-Release"

// rounds is how often it goes back and forth.
const rounds = 10

// moveLimit is how long one move may take.
const moveLimit = time.Minute

// errThere ends the following of an environment that is where it should be.
var errThere = errors.New("it is there")

// startLoad begins to send requests to the proxy: pages and work of 20 ms whose digest is checked, on connections that
// are kept and on new ones, and one stream that is never let go of.
func (d *demo) startLoad(ctx context.Context) {
	d.load = load.Start(ctx, load.Options{
		Address: d.stage.Proxy, Host: productionHost, Label: releaseHeader,
		Targets: []load.Target{{Path: "/"}, {Path: "/work?ms=20", Digest: true}, {Path: "/work?ms=20&kib=64", Digest: true}},
		Streams: []string{"/events"},
		Kept:    6, Fresh: 2, Pause: 5 * time.Millisecond,
	})
	d.screen.done("load", "8 clients and a stream; none of them tries again")
}

// switches is part 3: a second release takes over under load, then it goes back and forth.
func (d *demo) switches(ctx context.Context) error {
	d.startLoad(ctx)
	old := d.facts.Commits[0].Release
	if err := d.shop.replace("VERSION", "1.0.0", "1.1.0"); err != nil {
		return err
	}
	pushed, err := d.push(ctx, "Sell by version 1.1")
	if err != nil {
		return err
	}
	d.load.Mark()
	result, err := d.deliver(ctx, pushed)
	if err != nil {
		return err
	}
	spent, err := d.lastOf(ctx, old, result.commit.Release, result.approved)
	if err != nil {
		return err
	}
	result.commit.SwitchedMS = milliseconds(spent)
	d.facts.Commits = append(d.facts.Commits, result.commit)
	d.screen.done("switched", "last answer of the old release "+seconds(result.commit.SwitchedMS)+" after the approval")
	return d.backAndForth(ctx, old, result.commit.Release)
}

func (d *demo) backAndForth(ctx context.Context, old, now int) error {
	for n := range rounds {
		name := fmt.Sprintf("round %d of %d", n+1, rounds)
		d.screen.now(name)
		back, err := d.move(ctx, now, old, func() (client.Deployment, error) {
			return d.deployer.Rollback(ctx, production, "the demo goes back")
		})
		if err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		forth, err := d.move(ctx, old, now, func() (client.Deployment, error) {
			return d.deployer.Deploy(ctx, production, client.Deploy{Release: now, Reason: "the demo goes forward"})
		})
		if err != nil {
			return fmt.Errorf("go forward: %w", err)
		}
		d.facts.Rounds = append(d.facts.Rounds, Round{RollbackMS: milliseconds(back), SwitchMS: milliseconds(forth)})
		d.screen.done(name, fmt.Sprintf("rollback %.0f ms, forward %.0f ms", milliseconds(back), milliseconds(forth)))
	}
	return nil
}

// move asks for another release, and answers how long it took from the call until the old side had given its last
// answer, as those see it who ask.
func (d *demo) move(ctx context.Context, from, to int, ask func() (client.Deployment, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, moveLimit, fmt.Errorf("release %d is not live after %s", to, moveLimit))
	defer cancel()
	began := d.load.Mark()
	if _, err := ask(); err != nil {
		return 0, err
	}
	err := d.owner.FollowEnvironment(ctx, production, func(e client.Environment) error {
		switch {
		case e.Deployment != nil:
			return nil
		case e.Halted != "":
			return fmt.Errorf("%s is halted: %s", production, e.Halted)
		case e.Live == nil || e.Live.Number != to:
			return fmt.Errorf("%s did not reach release %d", production, to)
		}
		return errThere
	})
	if !errors.Is(err, errThere) {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	return d.lastOf(ctx, from, to, began)
}

// lastOf answers how long after a moment the old side gave its last answer. Nobody asks the old side any more, so that
// it is known once all that was on its way has been answered.
func (d *demo) lastOf(ctx context.Context, from, to int, since time.Time) (time.Duration, error) {
	if err := d.load.Settle(ctx); err != nil {
		return 0, fmt.Errorf("wait for answers: %w", err)
	}
	sides := d.load.Sides()
	if sides[strconv.Itoa(to)].Answers == 0 {
		return 0, fmt.Errorf("release %d is live, but nothing is answered by it", to)
	}
	return max(0, sides[strconv.Itoa(from)].Last.Sub(since)), nil
}
