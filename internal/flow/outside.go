package flow

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// complete fetches the secrets of an attempt that are elsewhere: after the commit that leased it, as nothing else may wait for
// that. Where it cannot, the step has failed by that, and there is no work. Whoever called may have gone meanwhile: the
// attempt waits for the same call then.
func (c *Conductor) complete(ctx context.Context, w *Work) (*Work, error) {
	if w.Secrets = w.given.Values; len(w.given.Outside) == 0 {
		return w, nil
	}
	values, failed := c.secrets.Fetch(ctx, w.given)
	if ctx.Err() != nil {
		c.NotGiven()
		return nil, ctx.Err()
	}
	w.Secrets = values
	err := c.update(ctx, func(a *act) error {
		if failed != nil {
			return unlessRefused(a.failUnstarted(w.Lease, failed))
		}
		return a.fetchedFor(w)
	})
	switch {
	case failed != nil, towpath.CodeOf(err) == towpath.CodeStale:
		return nil, unlessRefused(err) // another attempt may be there
	case err != nil:
		return nil, err
	}
	return w, nil
}

// fetchedFor notes that the secrets were given away, and lets the time of the lease begin when its worker is told.
func (a *act) fetchedFor(w *Work) error {
	w.Lease.Expires = a.at.Add(queue.LeaseTime)
	_, err := a.tx.Renew(w.Lease)
	names := slices.Sorted(maps.Keys(w.given.Outside))
	return errors.Join(err, a.noteUses(store.SecretUse{Run: w.Run.ID, Step: w.Step.Name}, names))
}

// atHand are the names of those whose values need not be fetched.
func atHand(g Given) []string { return slices.Sorted(maps.Keys(g.Values)) }
