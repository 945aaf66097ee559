package keeper

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// dormancy is how long a keeper that has just started waits for its server, before it looks after what it kept before.
const dormancy = 5 * time.Second

// standAlone looks after an environment while nothing may be begun. It does something about it only where its lease is
// over, nobody can be asked, and whoever has taken over since could not be harmed: it goes back from a release that does
// not stand its traffic, and after a restart it brings the live release up again.
func (p *performer) standAlone(ctx context.Context, order client.KeeperOrder) time.Duration {
	if p.isOvertaken() {
		return p.afterDeciding(p.goBack(Wish{}))
	}
	facts, err := p.look(ctx, order)
	if err != nil {
		return busyPace
	}
	if !p.mayDecide(facts) {
		return busyPace
	}
	failing := deploy.Failing(facts)
	switch {
	case isGoingBack(order.Environment):
		err = p.goBack(Wish{Reason: "the server had said so before it was out of reach"})
	case p.isDormant() && !deploy.Serves(facts):
		err = p.keepUp()
	case failing != "":
		err = p.goBack(Wish{Reason: failing + " (decided by its keeper while the server was out of reach)"})
	default:
		return busyPace
	}
	return p.afterDeciding(err)
}

func (p *performer) afterDeciding(err error) time.Duration {
	if err != nil {
		p.logger.Warn("nothing can be done without the server", "error", err)
		return busyPace
	}
	return 0
}

// mayDecide says that nobody else can, and that orders of a later keeper would be refused to be overridden.
func (p *performer) mayDecide(f deploy.Facts) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.keeper.link.isOver() && p.seen.isFencing && !p.isStale && p.pending == nil &&
		f.Environment.Live.Number > 0 && f.Environment.Halted == "" &&
		f.Environment.Epoch == p.order.Environment.Epoch && !f.Environment.Epoch.Before(f.Observed.Epoch)
}

func (p *performer) isDormant() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.isRestored
}

// keepUp makes the live release the goal until the server answers, which then goes on with what it had in mind.
func (p *performer) keepUp() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	given := p.order.Environment
	next, err := takenOver(given, p.highest(), rand.Text(), time.Now().Add(p.ahead))
	if err != nil {
		return err
	}
	next.Goal, next.Deployment = next.Live, nil
	p.journal.write(entry{Event: eventAlone, Step: "bring the live release up", Epoch: next.Epoch, Detail: "the server does not answer"})
	p.logger.Warn("the live release is brought up without the server", "release", next.Live.Number)
	return p.become(next, &alone{Given: given})
}

// remember takes up what this machine kept before, so that the server can be asked about it.
func (k *Keeper) remember() {
	found, err := filepath.Glob(filepath.Join(k.folder, "*", orderName))
	for _, path := range found {
		p, unread := k.restored(filepath.Dir(path))
		if unread != nil {
			err = errors.Join(err, unread)
			continue
		}
		k.change(func() { k.remembered[p.key] = p })
	}
	if err != nil {
		k.options.Logger.Warn("some environments are not known any more", "error", err)
	}
}

// restored answers a performer for the order in a folder.
func (k *Keeper) restored(folder string) (*performer, error) {
	store := &orderStore{folder: folder, keys: k.keys}
	order, a, err := store.load()
	if err != nil {
		return nil, err
	}
	p := k.performerOf(order)
	p.store, p.alone, p.isRestored = store, a, true
	return p, nil
}

// resume goes on at once with what was begun without the server.
func (k *Keeper) resume(ctx context.Context) {
	for _, p := range k.remembered {
		if p.isAlone() {
			k.adopt(p)
			p.begin(ctx)
		}
	}
}

// awaken looks after what this machine kept before, since no server answers. What others could take over is left to them.
func (k *Keeper) awaken(ctx context.Context) {
	for key, p := range k.remembered {
		if p.order.Environment.Definition.Target.Process == nil {
			continue
		}
		k.options.Logger.Warn("environment looked after without its server", "environment", key)
		k.adopt(p)
		p.begin(ctx)
	}
}
