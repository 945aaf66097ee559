package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Act is what a person did: who, why, and what writes it into the audit in the same transaction.
type Act struct {
	By, Reason string
	Record     func(*store.Tx) error
}

// act is one transaction of the conductor: its time, and who is to be woken once it is committed.
type act struct {
	*Conductor
	tx     *store.Tx
	at     time.Time
	rings  []string
	owed   bool         // effects wait in the outbox
	ready  bool         // attempts were queued
	freed  bool         // leases have ended
	began  bool         // deployments have begun
	left   []store.Lane // what waits after all were served who could be
	chosen []*waiter    // who is answered once it is committed, or has failed
	last   savedRun     // a step's report and the lease of the next are of the same run
}

// savedRun is a run as it was saved last in a transaction.
type savedRun struct {
	run     towpath.Run
	version int
}

// update runs fn in a transaction, and wakes who is concerned after the commit.
func (c *Conductor) update(ctx context.Context, fn func(*act) error) error {
	a := &act{Conductor: c}
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		a.tx, a.at = tx, c.clock()
		if err := fn(a); err != nil {
			return err
		}
		return a.handOut()
	})
	answerAll(a.chosen, err)
	if err != nil {
		return err
	}
	if len(a.left) > 0 {
		c.waiters.tell(a.concerns)
	}
	c.hub.Ring(a.rings...)
	if a.began {
		c.chronicles.wake()
	}
	if a.owed {
		c.outbox.wake()
		c.people.wake()
		c.forges.wake()
	}
	return nil
}

func (a *act) ring(topics ...string) { a.rings = append(a.rings, topics...) }

// runHappens applies an event to a run and saves it with its effects. Where the run refuses it, nothing is changed and
// the refusal is the error.
func (a *act) runHappens(id string, e towpath.RunEvent) (towpath.Run, error) {
	run, version, err := a.run(id)
	if err != nil {
		return run, err
	}
	if err := run.Refuses(e); err != nil {
		return run, err
	}
	next, effects := run.Next(e)
	if err := a.tx.SaveRun(next, version); err != nil {
		return run, fmt.Errorf("save run %d of %s: %w", run.Number, run.Pipeline, err)
	}
	a.last = savedRun{next, version + 1}
	a.ring(TopicRuns, TopicRun(id))
	if err := a.auditShell(next); err != nil {
		return run, err
	}
	if next.State != run.State && !next.IsPartial() {
		effects = append(effects, towpath.ShowRunStatus{Run: id, State: next.State})
	}
	return next, a.settle(next.Project, next, effects)
}

// run answers a run and its version.
func (a *act) run(id string) (towpath.Run, int, error) {
	if a.last.run.ID == id {
		return a.last.run, a.last.version, nil
	}
	return a.tx.Run(id)
}

// environmentHappens does the same for an environment.
func (a *act) environmentHappens(key string, e towpath.EnvironmentEvent) (towpath.Environment, error) {
	environment, version, err := a.tx.Environment(key)
	if err != nil {
		return environment, err
	}
	if err := environment.Refuses(e); err != nil {
		return environment, err
	}
	next, effects := environment.Next(e)
	if err := a.tx.SaveEnvironment(next, version); err != nil {
		return environment, fmt.Errorf("save environment %s: %w", key, err)
	}
	a.ring(TopicEnvironments, TopicEnvironment(key))
	if err := a.settle(next.Project, towpath.Run{}, effects); err != nil {
		return next, err
	}
	return next, a.chronicle(environment, next)
}

// settle saves effects. One that is no more than a row of the database is that row, in this same transaction; the
// others go to the outbox.
func (a *act) settle(project string, run towpath.Run, effects []towpath.Effect) error {
	for _, effect := range effects {
		var err error
		switch e := effect.(type) {
		case towpath.EnqueueStep:
			err = a.enqueue(run, e)
		case towpath.StopStep:
			err = a.stopStep(e)
		case towpath.RecordDeployment:
			err = a.recordDeployment(project, e.Deployment)
		case towpath.ShowRunStatus:
			err = a.oweStatus(project, e)
		case towpath.WakeKeeper:
			a.ring(TopicKeepers)
		default:
			err = a.owe(run, e)
		}
		if err != nil {
			return fmt.Errorf("save effect %s: %w", effect.Key(), err)
		}
	}
	return nil
}
