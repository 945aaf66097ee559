// Package flow is the conductor: it holds the legs together, in their order. Whoever has an event (a change was seen,
// a worker reported, a person decided, a keeper reached its goal, a clock ran out) comes here; the event is applied in
// one transaction, in which its effects are saved, and the effects are carried out after the commit.
package flow

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
)

// Options are what the conductor is made of.
type Options struct {
	Store        Store
	Hub          *Hub
	Repositories Repositories
	Secrets      Secrets
	Credentials  Credentials // nil: repositories are shown nothing of the server's
	Announcer    Announcer
	Inbox        Inbox    // nil: there are no webhooks
	Statuses     Statuses // nil: no forge is told anything
	Logs         *steplog.Store
	Artifacts    *artifact.Store
	Keep         Keep
	Unclaimed    time.Duration       // how long a step waits that no worker can run; 0 is for ever
	Shells       towpath.ShellPolicy // of debug shells; empty: there are none
	LogLimit     int64               // bytes that workers keep of what a step prints; 0: as many as they keep by themselves
	CacheLimit   int64               // bytes that a project's cache holds; 0 is DefaultCacheLimit
	Clock        func() time.Time
	NewID        func() string // unique for ever
	Log          *slog.Logger
}

// Store keeps the server's state: *store.Store, or one that dies at its commits.
type Store interface {
	View(ctx context.Context, fn func(*store.Tx) error) error
	Update(ctx context.Context, fn func(*store.Tx) error) error
	Unwritable() error
}

// Given is secrets that were granted, some of which are elsewhere.
type Given = access.Given

// Secrets answers what was granted. A missing secret is an error that names it.
type Secrets interface {
	// ForStep answers the named secrets for a script step.
	ForStep(tx *store.Tx, run towpath.Run, step towpath.Step) (Given, error)
	// ForEnvironment answers the secrets that an environment's definition names.
	ForEnvironment(tx *store.Tx, e towpath.Environment) (Given, error)
	// Fetch waits for the values that are elsewhere, which takes a while, and answers all.
	Fetch(ctx context.Context, g Given) (map[string]string, error)
	// Have answers all values where those that are elsewhere were told in that time. Else it has them asked, says by the error
	// what is missing, and calls done when it is worth asking again.
	Have(g Given, within time.Duration, done func()) (map[string]string, error)
}

// Credentials answers what repositories are shown.
type Credentials interface {
	// ForRepository answers what a project's repository is shown when a worker fetches from it.
	ForRepository(tx *store.Tx, p towpath.Project) (git.Access, error)
}

// Announcer tells people.
type Announcer interface {
	Announce(ctx context.Context, a towpath.Alert) error
}

// Conductor carries changes through the legs.
type Conductor struct {
	store        Store
	hub          *Hub
	waiters      waiters
	repositories Repositories
	secrets      Secrets
	credentials  Credentials
	announcer    Announcer
	clock        func() time.Time
	newID        func() string
	log          *slog.Logger
	outbox       *loop // effects inside the database
	chronicles   *loop // what is told of deployments afterwards
	forges       *loop // effects that forges are told of, which may be slow as well
	statuses     Statuses
	inbox        Inbox
	deliveries   *loop
	people       *loop // effects that tell people: slow ones, so that the others never wait for them
	changes      *loop
	schedules    *loop
	waiting      pauses // of changes
	disk         *loop
	storage      storage
	sweeper      *loop
	retention    *loop
	logs         *steplog.Store
	artifacts    *artifact.Store
	keep         Keep
	logLimit     int64
	cacheLimit   int64
	beat         time.Time // of the server's heart, the last
	renewable    instant   // since when leases can be renewed without a break
	doing        notes     // by environment's key
	commands     commands  // of people, that have not ended
	seen         sightings // of workers
	unclaimed    time.Duration
	shells       towpath.ShellPolicy
	claimsSeen   time.Time // when it was last asked whether steps wait in vain
}

// New makes a conductor. It does nothing by itself before Start.
func New(o Options) *Conductor {
	c := &Conductor{
		store: o.Store, hub: o.Hub, repositories: o.Repositories, secrets: o.Secrets, credentials: o.Credentials, announcer: o.Announcer,
		inbox: o.Inbox, statuses: o.Statuses, logs: o.Logs, artifacts: o.Artifacts, keep: o.Keep, logLimit: o.LogLimit, cacheLimit: cmp.Or(o.CacheLimit, DefaultCacheLimit),
		clock: o.Clock, newID: o.NewID, log: o.Log, waiting: pauses{}, unclaimed: o.Unclaimed, shells: o.Shells,
	}
	c.deliveries = newLoop("deliveries", 2*time.Second, c.takeDeliveries, o.Log)
	c.changes = newLoop("changes", 2*time.Second, c.takeChanges, o.Log)
	c.schedules = newLoop("schedules", time.Second, c.fireSchedules, o.Log)
	c.outbox = newLoop("outbox", time.Second, c.carryOutDue, o.Log)
	c.people = newLoop("people", time.Second, c.announceDue, o.Log)
	c.forges = newLoop("forges", time.Second, c.showDue, o.Log)
	c.chronicles = newLoop("chronicles", 10*time.Second, c.completeChronicles, o.Log)
	c.disk = newLoop("disk", time.Second, c.watchDisk, o.Log)
	c.retention = newLoop("retention", retentionEvery, c.retain, o.Log)
	c.sweeper = newLoop("sweep", time.Second, c.sweep, o.Log)
	return c
}

// Start gives back to leases the time in which no server could take a renewal, and begins to work.
func (c *Conductor) Start(ctx context.Context) error {
	if err := c.resume(ctx); err != nil {
		return fmt.Errorf("extend the leases by the time without a server: %w", err)
	}
	for _, l := range c.loops() {
		l.start()
	}
	return nil
}

func (c *Conductor) loops() []*loop {
	return []*loop{c.deliveries, c.schedules, c.changes, c.outbox, c.people, c.forges, c.chronicles, c.disk, c.sweeper, c.retention}
}

// Stop waits for what is under way.
func (c *Conductor) Stop() {
	for _, l := range slices.Backward(c.loops()) {
		l.stop()
	}
}

// carryOut does what an effect asks for: one case an effect, in the order of the legs.
func (c *Conductor) carryOut(ctx context.Context, e towpath.Effect) error {
	switch e := e.(type) {
	// Leg 2: runs of the same branch.
	case towpath.SupersedeOlder:
		return c.done(ctx, e, func(a *act) error { return a.supersedeOlder(e) })
	case towpath.StartNext:
		return c.done(ctx, e, func(a *act) error { return a.startNext(e) })
	case towpath.StartDownstream:
		defer c.ChangesRecorded()
		return c.done(ctx, e, func(a *act) error { return a.startDownstream(e) })

	// Leg 5: people.
	case towpath.AskApproval:
		return c.done(ctx, e, func(a *act) error { return a.ask(e) })
	case towpath.WithdrawApproval:
		return c.done(ctx, e, func(a *act) error { return a.withdrawApproval(e) })

	// Leg 6: environments, and back to the run that waits for them.
	case towpath.RequestDeployment:
		return c.done(ctx, e, func(a *act) error { return a.requestDeployment(e) })
	case towpath.WithdrawDeployment:
		return c.done(ctx, e, func(a *act) error { return a.withdrawDeployment(e) })
	case towpath.TellStep:
		return c.done(ctx, e, func(a *act) error { return a.tellStep(e) })

	// Beside the commit, at its forge.
	case towpath.ShowRunStatus:
		return c.showRun(ctx, e)
	case towpath.ShowDeploymentStatus:
		return c.showDeployment(ctx, e)

	// Alerts, from any leg.
	case towpath.AnnounceApproval:
		return c.announceApproval(ctx, e)
	case towpath.AnnounceRun:
		return c.announceRun(ctx, e)
	case towpath.AnnounceDeployment:
		return c.announceDeployment(ctx, e)
	}
	return fmt.Errorf("effect %T is carried out where it arises, and does not belong in the outbox", e)
}

// done carries an effect out inside the database, in the transaction in which it is ticked off: it happens once.
func (c *Conductor) done(ctx context.Context, e towpath.Effect, fn func(*act) error) error {
	return c.update(ctx, func(a *act) error {
		if err := fn(a); err != nil {
			return err
		}
		return a.tx.EffectDone(e.Key(), a.at)
	})
}
