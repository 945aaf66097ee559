package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Repositories reads what is committed.
type Repositories interface {
	// Tip answers the newest revision of a branch; the default branch where it is empty.
	Tip(ctx context.Context, p towpath.Project, branch string) (resolved, revision string, err error)
	// Read completes a change with its commit's author, message and files, and answers the pipeline files at its
	// revision by their paths.
	Read(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error)
}

// changesBatch is how many recorded changes one round looks at.
const changesBatch = 16

// Wish is a person's wish for a run.
type Wish struct {
	Project  string // ID
	Branch   string // empty is the default one
	Revision string // empty is the branch's tip
	Pipeline string // empty is the project's only one
	By       string
	Scripts  bool                  // scripts only: the run ends before its first approval or deployment
	Record   func(*store.Tx) error // into the audit
}

// StartRun makes the runs that a person asks for, at once.
func (c *Conductor) StartRun(ctx context.Context, w Wish) ([]towpath.Run, error) {
	project, err := c.project(ctx, w.Project)
	if err != nil {
		return nil, err
	}
	change := towpath.Change{Project: w.Project, Trigger: towpath.TriggerManual, By: w.By, SeenAt: c.clock()}
	if change.Branch, change.Revision, err = c.repositories.Tip(ctx, project, w.Branch); err != nil {
		return nil, err
	}
	if w.Revision != "" {
		change.Revision = w.Revision
	}
	change.Trusted = change.Branch == project.DefaultBranch
	recorded, err := c.record(ctx, change, c.newID(), w.Record)
	if err != nil {
		return nil, err
	}
	return c.settleChange(ctx, recorded, w)
}

func (c *Conductor) project(ctx context.Context, id string) (p towpath.Project, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		p, _, err = tx.Project(id)
		return err
	})
	return p, err
}

func (c *Conductor) record(ctx context.Context, change towpath.Change, key string, audit func(*store.Tx) error) (recorded store.RecordedChange, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		if err := audit(tx); err != nil {
			return err
		}
		if _, err := tx.RecordChange(change, key); err != nil {
			return err
		}
		recorded, err = tx.RecordedChange(change, key)
		return err
	})
	return recorded, err
}

// ChangesRecorded says that there are changes to look at.
func (c *Conductor) ChangesRecorded() { c.changes.wake() }

// takeChanges makes runs of the changes that were recorded and that nobody has looked at.
func (c *Conductor) takeChanges(ctx context.Context) (more bool, err error) {
	var pending []store.RecordedChange
	err = c.store.View(ctx, func(tx *store.Tx) error {
		pending, err = tx.PendingChanges(changesBatch)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, recorded := range pending {
		if _, err := c.settleChange(ctx, recorded, Wish{}); err != nil && isTemporary(err) {
			return false, fmt.Errorf("look at revision %s: %w", recorded.Change.Short(), err)
		}
	}
	return len(pending) == changesBatch, ctx.Err()
}

// isTemporary says that the change stays pending, to be looked at again.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.Is(err, context.Canceled) || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrClosed) ||
		errors.As(err, &temporary) && temporary.Temporary()
}

// settleChange gives a change its one visible outcome: runs, or why there are none.
func (c *Conductor) settleChange(ctx context.Context, recorded store.RecordedChange, w Wish) ([]towpath.Run, error) {
	project, err := c.project(ctx, recorded.Change.Project)
	if err != nil {
		return nil, err
	}
	change, files, err := c.repositories.Read(ctx, project, recorded.Change)
	if err != nil {
		return nil, c.settleWithout(ctx, recorded, store.ChangeFailed, err)
	}
	pipelines, err := pipelinesFor(project, change, files, w)
	if err != nil {
		return nil, c.settleWithout(ctx, recorded, store.ChangeFailed, err)
	}
	if len(pipelines) == 0 {
		reason := towpath.Errorf(towpath.CodeConflict, "no pipeline is triggered by a %s to %s", change.Trigger, change.Branch)
		return nil, c.settleWithout(ctx, recorded, store.ChangeIgnored, reason)
	}
	var runs []towpath.Run
	err = c.update(ctx, func(a *act) error {
		runs, err = a.createRuns(recorded, change, pipelines)
		return err
	})
	if err != nil && refused(err) {
		return nil, c.settleWithout(ctx, recorded, store.ChangeFailed, err)
	}
	return runs, err
}

// settleWithout notes why a change became no run, and answers that reason as the error. A reason that may pass leaves
// the change pending.
func (c *Conductor) settleWithout(ctx context.Context, r store.RecordedChange, outcome store.ChangeOutcome, why error) error {
	if isTemporary(why) {
		return why
	}
	r.Outcome, r.Reason = outcome, why.Error()
	err := c.store.Update(ctx, func(tx *store.Tx) error { return tx.SettleChange(r, c.clock()) })
	if err != nil && !refused(err) {
		return err
	}
	c.log.Info("a change made no run", "project", r.Change.Project, "revision", r.Change.Short(), "reason", r.Reason)
	return why
}

// pipelinesFor reads the pipeline files and leaves out those that the change does not trigger.
func pipelinesFor(p towpath.Project, change towpath.Change, files map[string][]byte, w Wish) ([]towpath.Pipeline, error) {
	if len(files) == 0 {
		return nil, towpath.Errorf(towpath.CodeInvalid, "%s has no towpath.yaml at %s", p.Name, change.Short()).
			WithHint("add one at the root of the repository; towpath schema and docs/pipeline-file.md say what it holds")
	}
	var pipelines []towpath.Pipeline
	var problems []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		made, err := loadPipeline(path, files[path], change)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if w.Scripts {
			leaveGatesOut(&made)
		}
		if (w.Pipeline == "" || made.Name == w.Pipeline) && trigger.Matches(made.Triggers, p, change) {
			pipelines = append(pipelines, made)
		}
	}
	if len(problems) > 0 {
		return nil, towpath.Errorf(towpath.CodeInvalid, "%s", strings.Join(problems, "\n"))
	}
	if len(pipelines) > 1 && change.Trigger == towpath.TriggerManual {
		return nil, towpath.Errorf(towpath.CodeInvalid, "%s has %d pipelines", p.Name, len(pipelines)).
			WithHint("name one")
	}
	return pipelines, nil
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
	run, effects := towpath.NewRun(a.newID(), change.Project, number, p, change).Next(towpath.RunStarted{At: a.at})
	if err := a.tx.CreateRun(run); err != nil {
		return run, err
	}
	a.ring(TopicRuns)
	return run, a.settle(run, effects)
}

// leaveGatesOut excludes approvals and deployments, and with them whatever is behind.
func leaveGatesOut(p *towpath.Pipeline) {
	for i := range p.Steps {
		if p.Steps[i].Kind.IsGate() {
			p.Steps[i].Excluded = "this run is of scripts only"
		}
	}
}

// loadPipeline reads one file for one change. A file with errors is refused whole, with all of them told.
func loadPipeline(path string, data []byte, change towpath.Change) (towpath.Pipeline, error) {
	file, problems := pipeline.Parse(path, data)
	if file == nil {
		return towpath.Pipeline{}, towpath.Errorf(towpath.CodeInvalid, "%s", strings.TrimSpace(problems.String()))
	}
	return file.Pipeline(change)
}
