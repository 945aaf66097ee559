// Package alert tells people what happened, by whatever way the server's settings name.
package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// Notifier is one way to tell people. It may be asked to send the same alert again, by its key, when it is not known
// whether the first time arrived.
type Notifier interface {
	Name() string
	Notify(ctx context.Context, a towpath.Alert) error
}

// Desk sends each alert by every notifier.
type Desk struct {
	notifiers []Notifier
	clock     func() time.Time
	log       *slog.Logger
}

// NewDesk makes a desk. Without notifiers, alerts are in the log only.
func NewDesk(clock func() time.Time, log *slog.Logger, notifiers ...Notifier) *Desk {
	return &Desk{notifiers: notifiers, clock: clock, log: log}
}

// Announce sends an alert. It answers an error where a notifier failed: the caller asks again later.
func (d *Desk) Announce(ctx context.Context, a towpath.Alert) error {
	if a.At.IsZero() {
		a.At = d.clock()
	}
	d.log.Info("alert", "kind", a.Kind, "subject", a.Subject)
	var errs []error
	for _, n := range d.notifiers {
		place := failpoint.At("send an alert")
		place.Before()
		err := n.Notify(ctx, a)
		place.After()
		if err != nil {
			errs = append(errs, fmt.Errorf("tell by %s: %w", n.Name(), err))
		}
	}
	return errors.Join(errs...)
}
