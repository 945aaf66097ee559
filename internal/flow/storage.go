package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// roomTime is how long the disk has had room before it counts as having room again: near the end it comes and goes.
const roomTime = time.Minute

// tellAgain is how long after a try to tell people that failed there is another.
const tellAgain = 30 * time.Second

// storage is what is known of the server's disk. One goroutine owns it.
type storage struct {
	fullSince time.Time // zero while there is room
	roomSince time.Time // zero while it is full
	told      bool
	tryAt     time.Time
}

// watchDisk tells people once when the server's disk has become full. The outbox is on that disk, so this alert goes
// out by itself. When there is room again, what waited goes on.
func (c *Conductor) watchDisk(ctx context.Context) (more bool, err error) {
	s, now := &c.storage, c.clock()
	if c.store.IsFull() {
		s.roomSince = time.Time{}
		return false, c.tellFull(ctx, now)
	}
	if s.fullSince.IsZero() {
		return false, nil
	}
	if s.roomSince.IsZero() {
		s.roomSince = now
		c.changes.wake()
		c.hub.Ring(TopicQueue)
	}
	if now.Sub(s.roomSince) >= roomTime {
		c.log.Info("the disk has room again", "full_since", s.fullSince)
		*s = storage{}
	}
	return false, nil
}

func (c *Conductor) tellFull(ctx context.Context, now time.Time) error {
	s := &c.storage
	if s.fullSince.IsZero() {
		s.fullSince = now
	}
	if s.told || now.Before(s.tryAt) {
		return nil
	}
	s.tryAt = now.Add(tellAgain)
	err := c.announcer.Announce(ctx, towpath.Alert{
		Key: fmt.Sprintf("storage/%d", s.fullSince.Unix()), Kind: towpath.AlertStorage, At: s.fullSince,
		Subject: "the server's disk is full",
		Text:    "No new runs and steps are started; what runs goes on as far as it can.\nFree some space in the server's data folder: waiting work then goes on by itself.",
	})
	s.told = err == nil
	return err
}
