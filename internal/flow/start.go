package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Wish is a person's wish for a run.
type Wish struct {
	Project  string // ID
	Branch   string // empty is the default one
	Revision string // full hash of a commit that the branch holds; empty is the branch's tip
	Pipeline string // empty is the project's only one
	Inputs   map[string]string
	By       string
	Scripts  bool                  // scripts only: the run ends before its first approval or deployment
	Record   func(*store.Tx) error // into the audit
}

// StartRun makes the runs that a person asks for, at once. The wish, its audit and what became of it are one commit: so
// nobody else finds it half done and takes it for a push. Where there is no run the error says why; one that may pass,
// such as a repository that does not answer, leaves nothing behind.
func (c *Conductor) StartRun(ctx context.Context, w Wish) ([]towpath.Run, error) {
	project, change, err := c.wished(ctx, w)
	if err != nil {
		return nil, err
	}
	found, why := c.read(ctx, project, change, w)
	wish := func(a *act) (store.RecordedChange, error) { return a.recordWish(found.change, w) }
	var runs []towpath.Run
	if why == nil {
		runs, why = c.startRuns(ctx, project, found, wish)
	}
	if why == nil || !isFinal(why) {
		return runs, why
	}
	err = c.update(ctx, func(a *act) error {
		recorded, err := wish(a)
		if err != nil {
			return err
		}
		return a.settleWithout(project, found, recorded, why)
	})
	if err != nil {
		return nil, err
	}
	return nil, why
}

// wished makes a change of a wish.
func (c *Conductor) wished(ctx context.Context, w Wish) (towpath.Project, towpath.Change, error) {
	change := towpath.Change{Project: w.Project, Trigger: towpath.TriggerManual, By: w.By, SeenAt: c.clock()}
	if w.Pipeline != "" {
		change.Pipelines = []string{w.Pipeline}
	}
	project, err := c.project(ctx, w.Project)
	if err != nil {
		return project, change, err
	}
	if project.Paused {
		return project, change, towpath.Errorf(towpath.CodeConflict, "%s is paused: no new runs are started", project.Name)
	}
	change.Branch, change.Revision, err = c.repositories.Resolve(ctx, project, w.Branch, w.Revision)
	change.Trusted = trigger.IsProtected(project, change.Branch)
	return project, change, err
}

func (a *act) recordWish(change towpath.Change, w Wish) (store.RecordedChange, error) {
	if err := w.Record(a.tx); err != nil {
		return store.RecordedChange{}, err
	}
	key := a.newID()
	if _, err := a.tx.RecordChange(change, key); err != nil {
		return store.RecordedChange{}, err
	}
	return a.tx.RecordedChange(change, key)
}
