package keeper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/secret"
)

// lookLimit is how long an observation may take.
const lookLimit = 10 * time.Second

// observation stands for looking where operations are counted and told of.
type observation struct{ deploy.Operation }

func (observation) String() string { return "observe" }

// look gathers the facts: target and balancer at once, and meanwhile the order goes to disk. A balancer that cannot be
// read is a fact; a target that cannot be is an error.
func (p *performer) look(ctx context.Context, o client.KeeperOrder) (deploy.Facts, error) {
	facts := deploy.Facts{Environment: o.Environment, Now: p.serverNow()}
	if err := p.openDrivers(o); err != nil {
		return facts, err
	}
	ctx, forget := p.looking(ctx, o)
	defer forget()
	var target, balancer towpath.Observation
	var unread error
	looks := new(errgroup.Group)
	looks.Go(func() (err error) {
		target, err = p.drivers.Target.Observe(ctx)
		return err
	})
	looks.Go(func() error {
		if p.drivers.Balancer != nil {
			balancer, unread = p.drivers.Balancer.Observe(ctx)
		}
		return nil
	})
	looks.Go(func() error { return p.store.save(o) })
	err := looks.Wait()
	if cause := context.Cause(ctx); isCut(cause) {
		return facts, cause
	}
	p.known = nil
	if err != nil {
		return facts, fmt.Errorf("observe: %w", err)
	}
	p.tries.sightOf(unread)
	facts.Observed = deploy.Merge(target, balancer, unread == nil)
	p.complete(&facts)
	deploy.Introduce(p.drivers.Balancer, facts.Observed.Instances)
	if unread == nil && p.drivers.Balancer != nil && p.drivers.Balancer.Can().Fencing {
		p.known = &table{environment: facts.Environment, seen: balancer}
	}
	p.haveSeen(facts)
	return facts, nil
}

// looking answers the context of an observation, which ends early when another goal comes.
func (p *performer) looking(ctx context.Context, o client.KeeperOrder) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	ctx, cut := context.WithCancelCause(ctx)
	stop := p.cutBy(o.Environment, cut)
	return ctx, func() {
		stop()
		cut(nil)
		cancel()
	}
}

// complete adds what follows from what was observed.
func (p *performer) complete(f *deploy.Facts) {
	f.Now = p.serverNow()
	p.hear(f)
	p.hush(&f.Observed)
	p.toServerTime(&f.Observed)
	p.errands.mark(f.Observed.Instances)
	p.shares.mark(&f.Observed)
	f.Environment, _ = f.Environment.Next(f.TrafficSeen())
}

func (p *performer) serverNow() time.Time { return time.Now().Add(p.aheadOfUs()) }

func (p *performer) aheadOfUs() time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.ahead
}

// toServerTime makes times of this machine comparable with those that are recorded.
func (p *performer) toServerTime(o *towpath.Observation) {
	ahead := p.aheadOfUs()
	o.At = o.At.Add(ahead)
	if o.Cached != nil && !o.Cached.Until.IsZero() {
		o.Cached = &towpath.Cached{TTL: o.Cached.TTL, Until: o.Cached.Until.Add(ahead)}
	}
	for n := range o.Instances {
		o.Instances[n].Since = o.Instances[n].Since.Add(ahead)
	}
	for n := range o.Slots {
		if !o.Slots[n].Since.IsZero() {
			o.Slots[n].Since = o.Slots[n].Since.Add(ahead)
		}
	}
}

// openDrivers opens those of the order's definition, and closes those of another.
func (p *performer) openDrivers(o client.KeeperOrder) error {
	if p.drivers.Target != nil && p.isSite(o) {
		return nil
	}
	p.closeDrivers()
	p.masker = secret.NewMasker(slices.Collect(maps.Values(o.Secrets))...)
	p.site = Site{
		Environment: p.key, Definition: o.Environment.Definition,
		Secrets:     only(o.Secrets, o.Environment.Definition.Secrets),
		Credentials: only(o.Secrets, o.Environment.Definition.Credentials()),
		Files:       p.keeper.trees.files(p.keeper.source(p.key)),
	}
	opened, err := p.keeper.options.Open(p.site)
	if err != nil {
		return &deploy.Permanent{Err: fmt.Errorf("open the drivers of %s: %w", p.key, err)}
	}
	p.drivers = opened
	return nil
}

// isSite says that the drivers were opened for what an order says.
func (p *performer) isSite(o client.KeeperOrder) bool {
	d := o.Environment.Definition
	return d.Equal(p.site.Definition) &&
		maps.Equal(only(o.Secrets, d.Secrets), p.site.Secrets) && maps.Equal(only(o.Secrets, d.Credentials()), p.site.Credentials)
}

// only answers the named ones of the secrets that an order brings.
func only(secrets map[string]string, names []string) map[string]string {
	some := make(map[string]string, len(names))
	for _, name := range names {
		if value, is := secrets[name]; is {
			some[name] = value
		}
	}
	return some
}

func (p *performer) closeDrivers() {
	for _, d := range []deploy.Driver{p.drivers.Target, p.drivers.Balancer} {
		if d == nil {
			continue
		}
		if err := d.Close(); err != nil {
			p.logger.Warn("driver not closed", "error", err)
		}
	}
	p.drivers = Drivers{}
}
