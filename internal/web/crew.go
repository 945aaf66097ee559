package web

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// crew is the workers and what waits for them, at one moment: what is said of steps.
type crew struct {
	known []store.KnownWorker
	names map[string]string // by ID
	lanes []store.Lane
	now   time.Time
}

func crewOf(tx *store.Tx, now time.Time) (c crew, err error) {
	c.now, c.names = now, map[string]string{}
	if c.known, err = tx.Workers(); err != nil {
		return c, err
	}
	for _, w := range c.known {
		c.names[w.ID] = w.Name
	}
	c.lanes, err = tx.Lanes()
	return c, err
}

// explain says which worker runs each step of a run, by name, or why none does.
func (c crew) explain(answer *client.Run, run towpath.Run) {
	for i, step := range run.Steps {
		if step.Attempt() > 0 {
			answer.Steps[i].Worker = c.names[step.Attempts[step.Attempt()-1].Worker]
		}
		for n := range answer.Steps[i].Attempts {
			answer.Steps[i].Attempts[n].Worker = c.names[step.Attempts[n].Worker]
		}
		if step.State == towpath.StepQueued {
			answer.Steps[i].Reason = queue.Why(queue.LaneOf(c.lanes, run.Pipeline, step.Script.Worker), c.known, c.now)
		}
	}
}
