package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// roomTime is how long the disk has had room before it counts as having room again: near the end it comes and goes.
const roomTime = time.Minute

// tellAgain is how long after a try to tell people that failed there is another.
const tellAgain = 30 * time.Second

// storage is what is known of the server's disk. One goroutine owns it.
type storage struct {
	since     time.Time // when it could not be written any more; zero while it can
	roomSince time.Time // since when it can again; zero while it cannot
	told      bool
	tryAt     time.Time
}

// watchDisk tells people once when the server cannot write its database any more, mostly because the disk is full. The
// outbox is in there, so this alert goes out by itself. When it can be written again, what waited goes on.
func (c *Conductor) watchDisk(ctx context.Context) (more bool, err error) {
	s, now := &c.storage, c.clock()
	if why := c.store.Unwritable(); why != nil {
		s.roomSince = time.Time{}
		return false, c.tellUnwritable(ctx, why, now)
	}
	if s.since.IsZero() {
		return false, nil
	}
	if s.roomSince.IsZero() {
		s.roomSince = now
		c.changes.wake()
		c.hub.Ring(TopicQueue)
	}
	if now.Sub(s.roomSince) >= roomTime {
		c.log.Info("the database can be written again", "not_since", s.since)
		*s = storage{}
	}
	return false, nil
}

func (c *Conductor) tellUnwritable(ctx context.Context, why error, now time.Time) error {
	s := &c.storage
	if s.since.IsZero() {
		s.since = now
		c.log.Error("the database cannot be written", "error", why)
	}
	if s.told || now.Before(s.tryAt) {
		return nil
	}
	s.tryAt = now.Add(tellAgain)
	subject, hint := store.ErrUnwritable.Message, store.ErrUnwritable.Hint
	if known, is := errors.AsType[*towpath.Error](why); is {
		subject, hint = known.Message, known.Hint
	}
	err := c.announcer.Announce(ctx, towpath.Alert{
		Key: fmt.Sprintf("storage/%d", s.since.Unix()), Kind: towpath.AlertStorage, At: s.since,
		Subject: subject,
		Text:    "No new runs and steps are started; what runs goes on as far as it can.\nWhat to do: " + hint + ".",
	})
	s.told = err == nil
	return err
}
