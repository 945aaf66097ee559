package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Inbox reads what webhooks have brought.
type Inbox interface {
	// Read answers what a delivery says. An error is for people, and the same each time.
	Read(p towpath.Project, d store.StoredDelivery) (trigger.Reading, error)
}

// deliveriesBatch is how many deliveries one commit settles.
const deliveriesBatch = 64

// DeliveriesArrived says that there are deliveries to read.
func (c *Conductor) DeliveriesArrived() { c.deliveries.wake() }

// takeDeliveries makes changes of the deliveries that were stored and that nobody has read.
func (c *Conductor) takeDeliveries(ctx context.Context) (more bool, err error) {
	if c.inbox == nil || c.store.Unwritable() != nil {
		return false, nil
	}
	began := time.Now()
	var pending []store.StoredDelivery
	err = c.store.View(ctx, func(tx *store.Tx) error {
		pending, err = tx.PendingDeliveries(deliveriesBatch)
		return err
	})
	if err != nil || len(pending) == 0 {
		return false, err
	}
	settled, err := c.readAll(ctx, pending)
	if err != nil {
		return false, err
	}
	fresh := false
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		fresh = false
		for _, s := range settled {
			isNew, err := s.settle(tx, c.clock())
			if err != nil {
				return err
			}
			fresh = fresh || isNew
		}
		return nil
	})
	if err == nil && fresh {
		c.ChangesRecorded()
	}
	if len(pending) < deliveriesBatch || err != nil {
		return false, err
	}
	return true, rest(ctx, time.Since(began))
}

// rest waits: where deliveries come in faster than they can be read, half of the time belongs to those that arrive, since
// somebody waits for an answer to each of them.
func rest(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return ctx.Err()
}

// readDelivery is a delivery with what it says.
type readDelivery struct {
	store.StoredDelivery
	reading trigger.Reading
	fault   error
	paused  bool
}

// readAll reads deliveries, outside of any transaction. Those whose project is gone went with it.
func (c *Conductor) readAll(ctx context.Context, pending []store.StoredDelivery) ([]readDelivery, error) {
	projects := map[string]towpath.Project{}
	var read []readDelivery
	for _, d := range pending {
		p, known := projects[d.Project]
		if !known {
			var err error
			if p, err = c.project(ctx, d.Project); errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			projects[d.Project] = p
		}
		r := readDelivery{StoredDelivery: d, paused: p.Paused}
		r.reading, r.fault = c.inbox.Read(p, d)
		read = append(read, r)
	}
	return read, nil
}

// settle records the changes that a delivery tells of, and what became of it. What is known already, such as by polling,
// makes no second change, unless a person had the delivery read again.
func (r readDelivery) settle(tx *store.Tx, now time.Time) (fresh bool, err error) {
	d := r.Delivery
	d.SettledAt = now
	switch {
	case r.fault != nil:
		d.Outcome, d.Reason = towpath.DeliveryFailed, r.fault.Error()
	case r.paused:
		d.Outcome, d.Reason = towpath.DeliveryIgnored, "the project is paused"
	default:
		if fresh, err = r.record(tx, now); err != nil {
			return false, err
		}
		d.Outcome, d.Reason = r.outcome(fresh), r.reading.Note
	}
	err = tx.SettleDelivery(d)
	if towpath.CodeOf(err) == towpath.CodeStale {
		return false, nil // it went with its project
	}
	return fresh, err
}

// moveHead notes where a branch stands now, if the push began where it was seen last: what arrives late, or after one that
// was lost, says nothing of that, and polling finds it out.
func moveHead(tx *store.Tx, change towpath.Change, now time.Time) error {
	head, err := tx.Head(change.Project, change.Branch)
	if err != nil || head != "" && head != change.Before {
		return err
	}
	return tx.SaveHead(change.Project, change.Branch, change.Revision, now)
}

func (r readDelivery) outcome(fresh bool) towpath.DeliveryOutcome {
	switch {
	case fresh:
		return towpath.DeliveryChange
	case len(r.reading.Changes) > 0:
		return towpath.DeliveryKnown
	}
	return towpath.DeliveryIgnored
}

// record adds what is new. What waits for a maintainer's go is not worth it any more where its pull request is closed, or
// has newer commits.
func (r readDelivery) record(tx *store.Tx, now time.Time) (fresh bool, err error) {
	key := ""
	if r.Replays > 0 {
		key = fmt.Sprintf("replay/%d/%d", r.ID, r.Replays)
	}
	for _, change := range r.reading.Changes {
		as := key
		if change.Revision == "" {
			as = fmt.Sprintf("head/%d/%d", r.ID, r.Replays) // what stands there is another one each time
		}
		isNew, err := tx.RecordChange(change, as)
		if err == nil && isNew && change.Trigger == towpath.TriggerPush {
			err = moveHead(tx, change, now)
		}
		if err == nil && isNew && change.Request != nil && change.Revision != "" {
			err = tx.DropHeld(change.Project, change.Branch, "the pull request has newer commits: "+change.Short(), now)
		}
		if err != nil {
			return false, err
		}
		fresh = fresh || isNew
	}
	for _, line := range r.reading.Closed {
		if err := tx.DropHeld(r.Project, line, "the pull request is closed", now); err != nil {
			return false, err
		}
	}
	return fresh, nil
}
