package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Repositories reads what is committed.
type Repositories interface {
	// Resolve answers the branch, the default one where it is empty, and its newest revision; or, where a revision is
	// wanted, that one, if the branch holds it.
	Resolve(ctx context.Context, p towpath.Project, branch, revision string) (resolvedBranch, resolved string, err error)
	// Head answers where a reference stands, by its full name. CodeNotFound says that it is gone.
	Head(ctx context.Context, p towpath.Project, ref string) (string, error)
	// Read completes a change with its commit's author, message and files, and answers the pipeline files at its
	// revision by their paths.
	Read(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error)
	// Between answers the commits by which two revisions differ, from what was fetched before.
	Between(ctx context.Context, p towpath.Project, before, after string) (towpath.Commits, error)
}

// changesBatch is how many recorded changes one round looks at.
const changesBatch = 16

// longestLook bounds the pause between two looks at the changes of a project whose repository does not answer.
const longestLook = 2 * time.Minute

// ChangesRecorded says that there are changes to look at.
func (c *Conductor) ChangesRecorded() { c.changes.wake() }

// takeChanges makes runs of the changes that were recorded and that nobody has looked at. One that cannot be looked at
// now stays pending, and holds up those of its own project only.
func (c *Conductor) takeChanges(ctx context.Context) (more bool, err error) {
	if c.store.Unwritable() != nil {
		return false, nil
	}
	var pending []store.RecordedChange
	err = c.store.View(ctx, func(tx *store.Tx) error {
		pending, err = tx.PendingChanges(0)
		return err
	})
	if err != nil {
		return false, err
	}
	pending = slices.DeleteFunc(pending, func(r store.RecordedChange) bool {
		return c.waiting.waits(r.Change.Project, c.clock())
	})
	for _, recorded := range pending[:min(changesBatch, len(pending))] {
		if !c.waiting.waits(recorded.Change.Project, c.clock()) {
			c.takeChange(ctx, recorded)
		}
	}
	return len(pending) > changesBatch, ctx.Err()
}

func (c *Conductor) takeChange(ctx context.Context, recorded store.RecordedChange) {
	project := recorded.Change.Project
	err := c.settleChange(ctx, recorded)
	if err == nil || ctx.Err() != nil {
		c.waiting.forget(project)
		return
	}
	again := c.waiting.postpone(project, c.clock())
	c.log.Warn("a change cannot be looked at yet", "project", project, "revision", recorded.Change.Short(),
		"again_in", again, "error", err)
}

// pauses says which projects' changes are not looked at for a while. One goroutine owns it.
type pauses map[string]pause

type pause struct {
	until    time.Time
	failures int // in a row
}

// waits says that a project's pause is not over. One that is longer than any was taken by a clock that was set back since.
func (p pauses) waits(project string, now time.Time) bool {
	left := p[project].until.Sub(now)
	return left > 0 && left <= longestLook
}

func (p pauses) forget(project string) { delete(p, project) }

// postpone answers for how long: twice as long each time.
func (p pauses) postpone(project string, now time.Time) time.Duration {
	failures := p[project].failures
	again := min(longestLook, time.Second<<min(failures, 10))
	p[project] = pause{until: now.Add(again), failures: failures + 1}
	return again
}

// isFinal says that looking at a change again would find the same. Whatever else went wrong may pass: the change stays
// pending.
func isFinal(err error) bool {
	switch towpath.CodeOf(err) {
	case towpath.CodeInvalid, towpath.CodeForbidden, towpath.CodeNotFound, towpath.CodeConflict:
		return !errors.Is(err, store.ErrConflict)
	}
	return false
}

// settleChange gives a recorded change its one visible outcome: runs, or why there are none. It answers an error where
// the change stays pending.
func (c *Conductor) settleChange(ctx context.Context, recorded store.RecordedChange) error {
	project, err := c.project(ctx, recorded.Change.Project)
	if errors.Is(err, store.ErrNotFound) {
		return nil // and with it its changes
	}
	if err != nil {
		return err
	}
	if recorded.Change.Revision == "" {
		return unlessRefused(c.findHead(ctx, project, recorded))
	}
	found, why := c.look(ctx, project, recorded)
	if why == nil {
		_, why = c.startRuns(ctx, project, found, func(*act) (store.RecordedChange, error) { return recorded, nil })
	}
	if why == nil || !isFinal(why) {
		return unlessRefused(why)
	}
	err = c.update(ctx, func(a *act) error { return a.settleWithout(project, found, recorded, why) })
	return unlessRefused(err)
}

// look reads a recorded change, unless nothing of it is to be run whatever it holds.
func (c *Conductor) look(ctx context.Context, p towpath.Project, recorded store.RecordedChange) (reading, error) {
	if recorded.Change.IsFromFork() && p.Forks == towpath.ForksIgnore {
		return reading{change: recorded.Change}, errForksIgnored
	}
	found, err := c.read(ctx, p, recorded.Change, Wish{})
	if err == nil {
		err = holds(p, recorded)
	}
	return found, err
}

func (c *Conductor) project(ctx context.Context, id string) (p towpath.Project, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		p, _, err = tx.Project(id)
		return err
	})
	return p, err
}

// settleWithout notes why a change became no run.
func (a *act) settleWithout(p towpath.Project, found reading, r store.RecordedChange, why error) error {
	r.Outcome, r.Reason = store.ChangeFailed, why.Error()
	switch {
	case errors.Is(why, errUntriggered):
		r.Outcome = store.ChangeIgnored
	case errors.Is(why, errHeld):
		r.Outcome = store.ChangeHeld
	}
	a.log.Info("a change made no run", "project", r.Change.Project, "revision", r.Change.Short(), "reason", r.Reason)
	if err := a.adopt(p, found); err != nil {
		return err
	}
	return a.tx.SettleChange(r, a.at)
}

// startRuns makes the runs of a change, and settles it, in one commit.
func (c *Conductor) startRuns(
	ctx context.Context, p towpath.Project, found reading, of func(*act) (store.RecordedChange, error),
) (runs []towpath.Run, err error) {
	err = c.update(ctx, func(a *act) error {
		recorded, err := of(a)
		if err != nil {
			return err
		}
		if err := a.adopt(p, found); err != nil {
			return err
		}
		for _, p := range found.pipelines {
			if err := a.keepsToPolicies(found.change, p, found.fileOf(p)); err != nil {
				return err
			}
		}
		runs, err = a.createRuns(recorded, found.change, found.pipelines)
		return err
	})
	return runs, err
}

func (a *act) createRuns(recorded store.RecordedChange, change towpath.Change, pipelines []towpath.Pipeline) ([]towpath.Run, error) {
	var runs []towpath.Run
	for _, p := range pipelines {
		run, err := a.createRun(change, p)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
		recorded.Runs = append(recorded.Runs, run.ID)
	}
	recorded.Outcome = store.ChangeRun
	return runs, a.tx.SettleChange(recorded, a.at)
}

func (a *act) createRun(change towpath.Change, p towpath.Pipeline) (towpath.Run, error) {
	if err := a.tx.ClaimPipeline(p.Name, change.Project); err != nil {
		return towpath.Run{}, err
	}
	number, err := a.tx.NextRunNumber(p.Name)
	if err != nil {
		return towpath.Run{}, err
	}
	change.Inputs = inputsOf(p, change)
	return a.beginRun(towpath.NewRun(a.newID(), change.Project, number, p, change))
}

// beginRun stores a new run, which begins at once or waits for its turn.
func (a *act) beginRun(run towpath.Run) (towpath.Run, error) {
	started := towpath.RunStarted{At: a.at}
	if run.Concurrency == towpath.ConcurrencyQueue {
		behind, err := a.behind(run)
		if err != nil {
			return run, err
		}
		started.Behind = behind
	}
	run, effects := run.Next(started)
	if err := a.tx.CreateRun(run); err != nil {
		return run, err
	}
	a.last = savedRun{run, 1}
	a.ring(TopicRuns)
	if !run.IsPartial() {
		effects = append(effects, towpath.ShowRunStatus{Run: run.ID, State: run.State})
	}
	return run, a.settle(run.Project, run, effects)
}
