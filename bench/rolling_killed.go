package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/fleet"
)

const (
	keeperKills, quickKeeperKills = 500, 8
	// mostKills is how often the keeper is killed in one deployment.
	mostKills = 8
	// killedWithin is how long it lives at most before the next kill, once it is at work.
	killedWithin = 2 * time.Second
)

// measureKeeperKilled kills the keeper again and again while it deploys to five hosts by SSH.
func measureKeeperKilled(ctx context.Context, s *stage) ([]Figure, error) {
	return onFleet(ctx, s, "rolling-killed")
}

// killing is what kills of the keeper came to.
type killing struct {
	*rollingSite
	random      *rand.Rand
	known       []int // releases that were live
	kills       int
	deployments int
	lost        int // that did not become live
	wrong       int // hosts, after each deployment
	worst       time.Duration
}

func keepKilled(ctx context.Context, s *stage, f *fleet.Fleet) ([]Figure, error) {
	site, err := newRollingSite(ctx, s, f)
	if err != nil {
		return nil, err
	}
	k := &killing{rollingSite: site, random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), known: []int{1}}
	for range k.rounds(2, 1) { // some to go back to
		if err := k.update(ctx); err != nil {
			return nil, err
		}
		k.known = append(k.known, len(k.known)+1)
	}
	l := k.startLoad(ctx, connections/4)
	defer l.Stop()
	for count := k.rounds(keeperKills, quickKeeperKills); k.kills < count && err == nil; {
		err = k.deployment(ctx, count)
	}
	sent := l.Stop()
	var all rolled
	all.count(sent)
	return []Figure{
		{Name: "kills of the keeper in deployments to five hosts by SSH", Ours: float64(k.kills), Unit: "kills", Goal: AtLeast(float64(k.rounds(keeperKills, quickKeeperKills)))},
		{Name: "in so many deployments and goings back", Ours: float64(k.deployments), Unit: "deployments"},
		{Name: "of them given up, although nothing but the keeper failed", Ours: float64(k.lost), Unit: "deployments", Goal: AtMost(0)},
		{Name: "hosts on a wrong release afterwards, or with something left over", Ours: float64(k.wrong), Unit: "hosts", Goal: AtMost(0)},
		{Name: "failed meanwhile", Ours: float64(sent.Failed), Unit: "requests", Goal: AtMost(0)},
		{Name: "of so many", Ours: float64(sent.Requests), Unit: "requests"},
		{Name: "longest from the last kill to the end of a deployment", Ours: k.worst.Seconds(), Unit: "s"},
	}, errors.Join(err, all.failure)
}

// deployment begins one at random, kills the keeper in it, and looks at what came of it.
func (k *killing) deployment(ctx context.Context, most int) error {
	release, err := k.chooses(ctx)
	if err != nil {
		return err
	}
	k.deployments++
	for range 1 + k.random.IntN(mostKills) {
		if err := rest(ctx, time.Duration(k.random.Int64N(int64(killedWithin)))); err != nil {
			return err
		}
		if k.kills == most {
			break
		}
		if err := k.kill(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	e, err := k.rest(ctx)
	if err != nil {
		return err
	}
	k.worst = max(k.worst, time.Since(began))
	if e.Live.Number != release {
		k.lost++
		k.say("release %d did not become live, but %d", release, e.Live.Number)
	}
	k.say("%d kills: release %d is live after %s", k.kills, e.Live.Number, time.Since(began).Round(time.Millisecond))
	k.wrong += k.wrongSoon(ctx, e.Live.Number)
	return nil
}

// kill ends the keeper at once, and starts it again at once.
func (k *killing) kill(context.Context) error {
	if err := k.worker.kill(); err != nil {
		return err
	}
	k.kills++
	return k.startKeeper()
}

// chooses begins a deployment of a new release or of one that was live, or goes back, and answers to which release that is.
func (k *killing) chooses(ctx context.Context) (int, error) {
	e, err := k.Environment(ctx, shopKey)
	if err != nil {
		return 0, err
	}
	switch other := k.known[k.random.IntN(len(k.known))]; {
	case k.random.IntN(3) == 0:
		return k.isNew(ctx)
	case e.Previous != nil && e.Pin == "" && k.random.IntN(2) == 0:
		d, err := k.Rollback(ctx, shopKey, "bench")
		return d.Release, err
	case other != e.Live.Number:
		d, err := k.Deploy(ctx, shopKey, client.Deploy{Release: other, Reason: "bench"})
		return d.Release, err
	}
	return k.isNew(ctx)
}

// isNew makes a release, and waits until its deployment has begun.
func (k *killing) isNew(ctx context.Context) (int, error) {
	d, err := k.beginDeployment(ctx)
	if err != nil {
		return 0, err
	}
	k.known = append(k.known, d.Release)
	return d.Release, nil
}
