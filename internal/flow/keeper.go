package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// Kept is one environment that a worker keeps, as far as the worker knows.
type Kept struct {
	Environment string // key
	Serial      int
	Observed    towpath.Epoch
	Errands     []string // IDs of the commands that it has in hand
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
	Errands []towpath.Errand // that wait in them; their commands are not told yet
	Expires time.Time

	isRenewed bool // the worker is to hear of it, as some orders need a lease that lasts
}

// Keep renews a worker's environments and gives it those that nobody keeps. It waits for something new up to the given
// time, and renews leases in the midst of it where they have run for half their time: a worker whose lease is about to end
// gives no orders that nobody can refuse. Holder is new each time the worker starts, and makes an epoch of its own.
func (c *Conductor) Keep(ctx context.Context, w towpath.Worker, holder string, kept []Kept, wait time.Duration) (Keeping, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		rung := c.hub.Wait(TopicKeepers)
		keeping, err := c.keepNow(ctx, w, holder, kept)
		if err != nil || keeping.isRenewed || len(keeping.Orders)+len(keeping.Lost)+len(keeping.Errands) > 0 {
			return keeping, err
		}
		select {
		case <-ctx.Done():
			return keeping, ctx.Err()
		case <-timeout.C:
			return keeping, nil
		case <-time.After(dueIn(keeping.Expires, c.clock())):
		case <-rung:
		}
	}
}

// keepNow looks without a lock first: most of the time nothing is to be written.
func (c *Conductor) keepNow(ctx context.Context, w towpath.Worker, holder string, kept []Kept) (keeping Keeping, err error) {
	var offers []offer
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if offers, err = c.offers(tx, w, holder, kept); err == nil && !slices.ContainsFunc(offers, offer.isWritten) {
			keeping = c.keeping(tx, offers)
			keeping.Errands, err = errandsFor(tx, w, kept)
		}
		return err
	})
	if err != nil || !slices.ContainsFunc(offers, offer.isWritten) {
		return keeping, err
	}
	err = c.update(ctx, func(a *act) error {
		if offers, err = a.offers(a.tx, w, holder, kept); err != nil {
			return err
		}
		for i, o := range offers {
			if !o.isWritten() {
				continue
			}
			if offers[i].environment, err = a.environmentHappens(o.environment.Key, o.leased); err != nil {
				return err
			}
		}
		keeping = a.keeping(a.tx, offers)
		keeping.isRenewed = true
		keeping.Errands, err = errandsFor(a.tx, w, kept)
		return err
	})
	return keeping, err
}

// offer is what can be said to a worker of one environment.
type offer struct {
	environment towpath.Environment
	leased      towpath.KeeperLeased
	fits        bool // the worker may keep it
	known       bool // the worker thinks that it keeps it
	renewed     bool // the lease is worth a commit
	news        bool // the worker has to hear of it
}

// isWritten says that keeping the environment changes what is stored.
func (o offer) isWritten() bool { return o.fits && o.renewed }

func (c *Conductor) offers(tx *store.Tx, w towpath.Worker, holder string, kept []Kept) ([]offer, error) {
	environments, err := tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return nil, err
	}
	now := c.clock()
	var offers []offer
	for _, k := range kept {
		isIt := func(e towpath.Environment) bool { return e.Key == k.Environment }
		if !slices.ContainsFunc(environments, isIt) { // it was removed
			offers = append(offers, offer{environment: towpath.Environment{Key: k.Environment}, known: true})
		}
	}
	for _, e := range environments {
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.Environment == e.Key })
		known := Kept{Serial: -1}
		if i >= 0 {
			known = kept[i]
		}
		offers = append(offers, c.offer(e, w, holder, known, now))
	}
	return offers, nil
}

func (c *Conductor) offer(e towpath.Environment, w towpath.Worker, holder string, known Kept, now time.Time) offer {
	o := offer{environment: e, known: known.Environment != "", leased: towpath.KeeperLeased{
		Worker: w.ID, Holder: holder + "/" + e.Key, Observed: known.Observed, Serial: known.Serial,
		Tied: e.Definition.Target.Process != nil, Expires: now.Add(queue.LeaseTime), At: now,
	}}
	o.fits = e.Definition.Worker.Admits(w) && e.Policy.AdmitsWorker(w.Name) && e.Refuses(o.leased) == nil && !c.isAwaited(e, w, now)
	next, _ := e.Next(o.leased)
	isNew := next.Epoch != e.Epoch || next.Serial != e.Serial || e.Keeper.Worker != w.ID
	o.news = isNew || known.Serial != e.Serial
	o.renewed = isNew || isDue(e.Keeper.Expires, now, o.news)
	return o
}

// isAwaited says that the environment's keeper could not renew its lease for a while, and may still come.
func (c *Conductor) isAwaited(e towpath.Environment, w towpath.Worker, now time.Time) bool {
	return e.Keeper.Worker != "" && e.Keeper.Worker != w.ID && now.Sub(c.renewable.get()) < queue.LeaseTime
}

// keeping answers what a worker is told. An order that cannot be made, because a secret is not granted any more, holds
// up nothing else: the environment goes on as it is and says why.
func (c *Conductor) keeping(tx *store.Tx, offers []offer) Keeping {
	keeping := Keeping{Expires: c.clock().Add(queue.LeaseTime)}
	for _, o := range offers {
		if expires := o.environment.Keeper.Expires; o.fits && expires.Before(keeping.Expires) {
			keeping.Expires = expires // not every call renews
		}
		switch {
		case !o.fits && o.known:
			keeping.Lost = append(keeping.Lost, o.environment.Key)
		case o.fits && o.news:
			order, err := c.newOrder(tx, o.environment)
			if err != nil {
				c.log.Warn("an order cannot be made", "environment", o.environment.Key, "error", err)
				c.doing.set(o.environment.Key, "waits: "+err.Error())
				continue
			}
			keeping.Orders = append(keeping.Orders, order)
		}
	}
	return keeping
}

// isDue says that a lease is worth a commit: it has run for half its time. News do not wait for that before two thirds
// are over: whoever has heard them calls again at once.
func isDue(expires, now time.Time, hasNews bool) bool {
	left := queue.LeaseTime / 2
	if hasNews {
		left = queue.LeaseTime / 3
	}
	return expires.Sub(now) < left
}

// dueIn is how long it takes until a lease is worth a commit. One that is but cannot be renewed now, as what a worker has yet to hear
// cannot be told, is looked at again after a while.
func dueIn(expires, now time.Time) time.Duration {
	return max(expires.Sub(now)-queue.LeaseTime/2+time.Millisecond, time.Second/10)
}

// How old a secret's value may be that is kept elsewhere: in an order that is new, and in one that is told again, which is to
// say the same as before.
const (
	freshFor = time.Minute
	everSo   = 1 << 62 * time.Nanosecond
)

// newOrder is what a keeper is given that asks. What its definition has beyond a policy that was set since, it gets for no more than
// the deployment that has begun under the earlier one: without an end that would stay half done.
func (c *Conductor) newOrder(tx *store.Tx, e towpath.Environment) (Order, error) {
	if reason := e.Exceeds(nil); reason != "" && e.Deployment == nil {
		return Order{}, towpath.Errorf(towpath.CodeForbidden, "%s", reason)
	}
	return c.order(tx, e, freshFor)
}

// order gathers what a keeper needs. A value of a secret that is elsewhere may be as old as within; one that is missing makes
// the order wait, and nothing else.
func (c *Conductor) order(tx *store.Tx, e towpath.Environment, within time.Duration) (o Order, err error) {
	o.Environment = e
	o.Environment.Policy = towpath.Policy{} // the server's alone: a way back without it asks nobody
	if o.Releases, err = ReleasesOf(tx, e); err != nil {
		return o, err
	}
	given, err := c.secrets.ForEnvironment(tx, e)
	if err == nil {
		o.Secrets, err = c.secrets.Have(given, within, func() { c.hub.Ring(TopicKeepers) })
	}
	return o, err
}

// ReleasesOf answers the releases that a keeper may have to place or to tell apart.
func ReleasesOf(tx *store.Tx, e towpath.Environment) ([]towpath.Release, error) {
	var found []towpath.Release
	for _, ref := range e.Needed() {
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

// Doing answers what an environment's keeper said last that it is doing; empty where it waits.
func (c *Conductor) Doing(key string) string { return c.doing.get(key) }

// Report is what a keeper has to say of an environment.
type Report struct {
	Epoch    towpath.Epoch
	Observed *towpath.Observation                        // what it saw; nil where it only did something
	Doing    string                                      // what it is doing, in words; counts with Observed
	Event    func(at time.Time) towpath.EnvironmentEvent // what it did; nil where it has only seen something
	Journal  []towpath.JournalEntry                      // operations that have ended; some may come twice
}

// Reported takes a keeper's report in one commit, and answers the order as it now is. An event that the environment is
// past changes nothing: the order says what holds. CodeStale says that another keeps the environment.
func (c *Conductor) Reported(ctx context.Context, key string, r Report) (Order, error) {
	var order Order
	var incomplete error
	err := c.update(ctx, func(a *act) error {
		e, err := a.heldBy(key, r.Epoch)
		if err != nil {
			return err
		}
		if r.Observed != nil {
			if err := a.observe(key, *r.Observed, r.Doing); err != nil {
				return err
			}
		}
		if err := a.journal(key, r.Journal); err != nil {
			return err
		}
		if r.Event != nil && e.Refuses(r.Event(a.at)) == nil {
			if e, err = a.environmentHappens(key, r.Event(a.at)); err != nil {
				return err
			}
			if err := a.auditBack(key, r.Event(a.at)); err != nil {
				return err
			}
		}
		order, incomplete = a.order(a.tx, e, everSo)
		return nil
	})
	return order, errors.Join(err, incomplete)
}

// auditBack records what a person did on the keeper's machine while nobody here could be asked.
func (a *act) auditBack(key string, event towpath.EnvironmentEvent) error {
	back, is := event.(towpath.WentBack)
	if !is || back.By == "" {
		return nil
	}
	detail := fmt.Sprintf("to release %d, on the keeper's machine", back.To.Number)
	if back.Reason != "" {
		detail += ": " + back.Reason
	}
	return access.Record(a.tx, access.Act{Actor: back.By, Action: "rollback.direct", Object: key, Detail: detail, At: a.at})
}

func (a *act) observe(key string, seen towpath.Observation, doing string) error {
	seen.At = a.at
	a.doing.set(key, doing)
	a.ring(TopicEnvironments, TopicEnvironment(key))
	return a.tx.SaveObservation(key, seen)
}

func (a *act) heldBy(key string, epoch towpath.Epoch) (towpath.Environment, error) {
	e, _, err := a.tx.Environment(key)
	if err == nil && e.Epoch != epoch {
		err = towpath.Errorf(towpath.CodeStale, "epoch %s is not the current one of %s", epoch, key)
	}
	return e, err
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
