package simulate

import (
	"context"
	"errors"

	"github.com/towpath-cd/towpath"
)

// receiver takes alerts. It refuses one that it has by its key.
type receiver struct {
	world  *world
	alerts []towpath.Alert // in the order in which they came, each once
	known  map[string]bool
}

var errUnheard = errors.New("the receiver does not answer")

// Announce implements flow.Announcer.
func (r *receiver) Announce(_ context.Context, a towpath.Alert) error {
	if r.world.fault(r.world.drawn.faults.unheard) {
		if r.world.dice.chance(0.5) {
			r.take(a)
		}
		return errUnheard
	}
	r.take(a)
	return nil
}

func (r *receiver) take(a towpath.Alert) {
	if r.known[a.Key] {
		return
	}
	r.known[a.Key] = true
	r.alerts = append(r.alerts, a)
	r.world.say("receiver", "is told %s: %s", a.Key, a.Subject)
	r.world.judge.told(a)
}
