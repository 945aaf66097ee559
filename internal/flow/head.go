package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// findHead records where the commits of a pull request stand, whose forge did not say it in full, as a change of its own:
// one that is known is none. An error says that the pull request has to be looked at again.
func (c *Conductor) findHead(ctx context.Context, p towpath.Project, recorded store.RecordedChange) error {
	tip, why := c.repositories.Head(ctx, p, recorded.Change.FetchRef())
	if why != nil && !isFinal(why) {
		return why
	}
	found := recorded.Change
	found.Revision = tip
	err := c.update(ctx, func(a *act) error {
		recorded.Outcome = store.ChangeIgnored
		if why != nil {
			recorded.Reason = why.Error()
			return a.tx.SettleChange(recorded, a.at)
		}
		isNew, err := a.tx.RecordChange(found, "")
		if err != nil {
			return err
		}
		recorded.Reason = "its newest commit is " + found.Short()
		if !isNew {
			recorded.Reason += ", which is known"
		}
		return a.tx.SettleChange(recorded, a.at)
	})
	c.ChangesRecorded()
	return err
}
