package flow

import (
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// unclaimedEvery is how often it is asked whether somebody waits in vain.
const unclaimedEvery = 10 * time.Second

// judgesWorkers says that the server has been there long enough to have heard of every worker that is.
func (c *Conductor) judgesWorkers(now time.Time) bool {
	return c.unclaimed > 0 && now.Sub(c.renewable.get()) >= queue.Silent+queue.LeaseTime
}

// inVain answers the steps that nobody who is there may run, and that have waited for as long as they may, with the reason.
func (c *Conductor) inVain(tx *store.Tx, now time.Time, limit int) (steps []store.QueuedStep, reasons []string, err error) {
	if !c.judgesWorkers(now) {
		return nil, nil, nil
	}
	lanes, err := tx.Lanes()
	if err != nil || len(lanes) == 0 {
		return nil, nil, err
	}
	workers, err := tx.Workers()
	if err != nil {
		return nil, nil, err
	}
	for _, lane := range lanes {
		if !queue.IsHopeless(lane, workers, now) {
			continue
		}
		late, err := tx.WaitingSince(lane.First, now.Add(-c.unclaimed), limit)
		if err != nil {
			return nil, nil, err
		}
		for _, step := range late {
			steps, reasons = append(steps, step), append(reasons, queue.Why(lane, workers, now))
		}
	}
	return steps, reasons, nil
}

// someInVain looks now and then whether a step waits in vain.
func (c *Conductor) someInVain(tx *store.Tx, now time.Time) (bool, error) {
	if since := now.Sub(c.claimsSeen); since >= 0 && since < unclaimedEvery {
		return false, nil
	}
	c.claimsSeen = now
	steps, _, err := c.inVain(tx, now, 1)
	return len(steps) > 0, err
}

// expireUnclaimed ends the steps that wait in vain. Their runs go on as after any failure.
func (a *act) expireUnclaimed() error {
	steps, reasons, err := a.inVain(a.tx, a.at, changesBatch)
	if err != nil {
		return err
	}
	for i, q := range steps {
		if _, err := a.tx.Dequeue(q.Run, q.Step, q.Attempt); err != nil {
			return err
		}
		_, err := a.runHappens(q.Run, towpath.StepUnclaimed{
			Step: q.Step, Attempt: q.Attempt, At: a.at, Reason: fmt.Sprintf("%s; waited for %s", reasons[i], hours(a.unclaimed)),
		})
		if unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}

// hours is a time without what is zero at its end: 24h, not 24h0m0s.
func hours(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
