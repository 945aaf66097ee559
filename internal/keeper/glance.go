package keeper

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// table is a balancer's as it was read last, where nothing but our orders can have changed it: it refuses the order of
// another epoch, and ends with our next one.
type table struct {
	environment towpath.Environment // as it was then
	seen        towpath.Observation
}

// isKnown says that a goal has come since, and that the epoch still is the one that the balancer knows.
func (t *table) isKnown(e towpath.Environment) bool {
	return t != nil && isAnother(t.environment, e) && t.environment.Epoch == e.Epoch && t.seen.Epoch == e.Epoch
}

// glance gathers the facts without asking the balancer again. They are good for a shift alone: what is in flight is not
// in them.
func (p *performer) glance(ctx context.Context, o client.KeeperOrder) (deploy.Facts, error) {
	facts := deploy.Facts{Environment: o.Environment}
	if err := p.store.save(o); err != nil {
		return facts, err
	}
	ctx, forget := p.looking(ctx, o)
	defer forget()
	target, err := p.drivers.Target.Observe(ctx)
	if cause := context.Cause(ctx); isCut(cause) {
		return facts, cause
	}
	if err != nil {
		return facts, err
	}
	facts.Observed = deploy.Merge(target, p.known.seen, true)
	p.complete(&facts)
	return facts, nil
}

// facts answers those that the next operation needs, with the plan that they lead to. A goal that takes but a shift does
// not wait for more than that needs.
func (p *performer) facts(ctx context.Context, o client.KeeperOrder) (deploy.Facts, deploy.Plan, error) {
	if p.known.isKnown(o.Environment) && p.isSite(o) {
		facts, err := p.glance(ctx, o)
		if isCut(err) {
			return facts, deploy.Plan{}, err
		}
		if err == nil {
			plan := deploy.NewPlan(facts)
			if _, is := first(plan.Steps).(deploy.Shift); is {
				return facts, plan, nil
			}
		}
	}
	facts, err := p.look(ctx, o)
	if err != nil {
		return facts, deploy.Plan{}, err
	}
	return facts, deploy.NewPlan(facts), nil
}
