package flow

import (
	"context"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// Kept is one environment that a worker keeps, as far as the worker knows.
type Kept struct {
	Environment string // key
	Serial      int
	Observed    towpath.Epoch
}

// Order is all that a keeper needs to know.
type Order struct {
	Environment towpath.Environment
	Releases    []towpath.Release
	Secrets     map[string]string
}

// Keeping is a worker's environments: those with something new to do, and those that it keeps no longer.
type Keeping struct {
	Orders  []Order
	Lost    []string
	Expires time.Time
}

// Keep renews a worker's environments and gives it those that nobody keeps. It waits for something new up to the given
// time. Holder is new each time the worker starts, and makes an epoch of its own.
func (c *Conductor) Keep(ctx context.Context, w towpath.Worker, holder string, kept []Kept, wait time.Duration) (Keeping, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		rung := c.hub.Wait(TopicKeepers)
		keeping, err := c.keepNow(ctx, w, holder, kept)
		if err != nil || len(keeping.Orders)+len(keeping.Lost) > 0 {
			return keeping, err
		}
		select {
		case <-ctx.Done():
			return keeping, ctx.Err()
		case <-timeout.C:
			return keeping, nil
		case <-rung:
		}
	}
}

func (c *Conductor) keepNow(ctx context.Context, w towpath.Worker, holder string, kept []Kept) (Keeping, error) {
	var keeping Keeping
	err := c.update(ctx, func(a *act) error {
		keeping = Keeping{Expires: a.at.Add(queue.LeaseTime)}
		environments, err := a.tx.Environments(store.EnvironmentFilter{})
		if err != nil {
			return err
		}
		for _, e := range environments {
			if err := a.keepOne(&keeping, e, w, holder, kept); err != nil {
				return err
			}
		}
		for _, k := range kept {
			if !slices.ContainsFunc(environments, func(e towpath.Environment) bool { return e.Key == k.Environment }) {
				keeping.Lost = append(keeping.Lost, k.Environment)
			}
		}
		return nil
	})
	return keeping, err
}

// keepOne leases one environment to the worker, if it fits and is free.
func (a *act) keepOne(keeping *Keeping, e towpath.Environment, w towpath.Worker, holder string, kept []Kept) error {
	i := slices.IndexFunc(kept, func(k Kept) bool { return k.Environment == e.Key })
	known := Kept{Serial: -1}
	if i >= 0 {
		known = kept[i]
	}
	leased := towpath.KeeperLeased{
		Worker: w.ID, Holder: holder + "/" + e.Key, Observed: known.Observed,
		Tied: e.Definition.Target.Process != nil, Expires: keeping.Expires, At: a.at,
	}
	if !e.Definition.Worker.Admits(w) || e.Refuses(leased) != nil {
		if i >= 0 {
			keeping.Lost = append(keeping.Lost, e.Key)
		}
		return nil
	}
	after := e
	if next, _ := e.Next(leased); next.Epoch != e.Epoch || e.Keeper.Worker != w.ID || a.isHalfway(e.Keeper.Expires) {
		var err error
		if after, err = a.environmentHappens(e.Key, leased); err != nil {
			return err
		}
	}
	if known.Serial == after.Serial && after.Epoch == e.Epoch && e.Keeper.Worker == w.ID {
		return nil
	}
	order, err := a.order(after)
	keeping.Orders = append(keeping.Orders, order)
	return err
}

// isHalfway says that a lease is worth a commit: it has run for half its time.
func (a *act) isHalfway(expires time.Time) bool { return expires.Sub(a.at) < queue.LeaseTime/2 }

// order gathers what a keeper needs.
func (a *act) order(e towpath.Environment) (o Order, err error) {
	o.Environment = e
	if o.Releases, err = ReleasesOf(a.tx, e); err != nil {
		return o, err
	}
	o.Secrets, err = a.secrets.ForEnvironment(a.tx, e)
	return o, err
}

// ReleasesOf answers the releases that a keeper may have to place or to tell apart.
func ReleasesOf(tx *store.Tx, e towpath.Environment) ([]towpath.Release, error) {
	var found []towpath.Release
	for _, ref := range []towpath.ReleaseRef{e.Goal, e.Live, e.Previous()} {
		known := slices.ContainsFunc(found, func(r towpath.Release) bool { return r.Number == ref.Number })
		if ref.Number == 0 || known {
			continue
		}
		release, err := tx.Release(e.Pipeline, ref.Number)
		if err != nil {
			return nil, err
		}
		found = append(found, release)
	}
	return found, nil
}

// Observed takes what a keeper saw, and what it is doing, in words. CodeStale says that another keeps the environment.
func (c *Conductor) Observed(ctx context.Context, key string, epoch towpath.Epoch, seen towpath.Observation, doing string) error {
	return c.update(ctx, func(a *act) error {
		if _, err := a.heldBy(key, epoch); err != nil {
			return err
		}
		seen.At = a.at
		c.doing.set(key, doing)
		a.ring(TopicEnvironments, TopicEnvironment(key))
		return a.tx.SaveObservation(key, seen)
	})
}

// Doing answers what an environment's keeper said last that it is doing; empty where it waits.
func (c *Conductor) Doing(key string) string { return c.doing.get(key) }

func (a *act) heldBy(key string, epoch towpath.Epoch) (towpath.Environment, error) {
	e, _, err := a.tx.Environment(key)
	if err == nil && e.Epoch != epoch {
		err = towpath.Errorf(towpath.CodeStale, "epoch %s is not the current one of %s", epoch, key)
	}
	return e, err
}

// KeeperHappens takes what a keeper did, nil where it has only seen something, and answers the order as it now is. An
// event that the environment is past changes nothing: the order says what holds.
func (c *Conductor) KeeperHappens(ctx context.Context, key string, epoch towpath.Epoch, event func(at time.Time) towpath.EnvironmentEvent) (Order, error) {
	var order Order
	err := c.update(ctx, func(a *act) error {
		e, err := a.heldBy(key, epoch)
		if err == nil && event != nil && e.Refuses(event(a.at)) == nil {
			e, err = a.environmentHappens(key, event(a.at))
		}
		if err != nil {
			return err
		}
		order, err = a.order(e)
		return err
	})
	return order, err
}

// Leave gives environments back.
func (c *Conductor) Leave(ctx context.Context, worker string, keys []string) error {
	return c.update(ctx, func(a *act) error {
		for _, key := range keys {
			_, err := a.environmentHappens(key, towpath.KeeperLeft{Worker: worker, At: a.at})
			if unlessRefused(err) != nil {
				return err
			}
		}
		a.ring(TopicKeepers)
		return nil
	})
}
