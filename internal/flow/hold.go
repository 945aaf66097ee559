package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// FreezeWidely sets a freeze that reaches further than one environment: each environment that it covers has it from now on,
// and so has one that comes into being later.
func (c *Conductor) FreezeWidely(ctx context.Context, f towpath.Freeze, record func(*store.Tx) error) error {
	return c.update(ctx, func(a *act) error {
		f.At = a.at
		if f.IsOver(a.at) {
			return towpath.Errorf(towpath.CodeInvalid, "%s is not to come", f.Until.UTC().Format("2 Jan 2006 15:04 MST"))
		}
		if err := a.tx.SaveFreeze(f); err != nil {
			return err
		}
		if err := a.tellCovered(f, frozenBy(f)); err != nil {
			return err
		}
		return record(a.tx)
	})
}

// ThawWidely ends one.
func (c *Conductor) ThawWidely(ctx context.Context, f towpath.Freeze, record func(*store.Tx) error) error {
	return c.update(ctx, func(a *act) error {
		if err := a.tx.DeleteFreeze(f.Scope, f.Of); err != nil {
			return err
		}
		if err := a.tellCovered(f, towpath.Thawed{Scope: f.Scope, By: f.By, At: a.at}); err != nil {
			return err
		}
		return record(a.tx)
	})
}

func frozenBy(f towpath.Freeze) towpath.Frozen {
	return towpath.Frozen{Scope: f.Scope, Of: f.Of, By: f.By, Reason: f.Reason, Until: f.Until, At: f.At}
}

// tellCovered applies an event to every environment that a freeze covers.
func (a *act) tellCovered(f towpath.Freeze, event towpath.EnvironmentEvent) error {
	environments, err := a.tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		if !f.Covers(e) {
			continue
		}
		if _, err := a.environmentHappens(e.Key, event); unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}

// inheritFreezes tells a new environment of the freezes that cover it.
func (a *act) inheritFreezes(e towpath.Environment) error {
	freezes, err := a.tx.Freezes()
	if err != nil {
		return err
	}
	for _, f := range freezes {
		if !f.Covers(e) || f.IsOver(a.at) {
			continue
		}
		event := frozenBy(f)
		if _, err := a.environmentHappens(e.Key, event); err != nil {
			return err
		}
	}
	return nil
}

// timesCome tells environments of the times for which they wait: windows that open, freezes that run out.
func (a *act) timesCome() error {
	environments, err := a.tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		if !e.IsDue(a.at) {
			continue
		}
		if _, err := a.environmentHappens(e.Key, towpath.TimeCame{At: a.at}); unlessRefused(err) != nil {
			return err
		}
	}
	return a.tx.ExpireFreezes(a.at)
}

// StartNow lets a deployment begin although no window is open: the one that is named, or the first that waits.
func (c *Conductor) StartNow(ctx context.Context, key, id string, by Act) (towpath.Deployment, error) {
	var after towpath.Environment
	err := c.update(ctx, func(a *act) error {
		e, _, err := a.tx.Environment(key)
		if err != nil {
			return err
		}
		if id == "" && len(e.Queue) > 0 {
			id = e.Queue[0].ID
		}
		after, err = a.environmentHappens(key, towpath.StartAllowed{Deployment: id, By: by.By, Reason: by.Reason, At: a.at})
		if err != nil {
			return err
		}
		return by.Record(a.tx)
	})
	return deploymentOf(after, id), err
}
