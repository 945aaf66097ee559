package flow

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/pipeline"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Repositories reads what is committed.
type Repositories interface {
	// Resolve answers the branch, the default one where it is empty, and its newest revision; or, where a revision is
	// wanted, that one, if the branch holds it.
	Resolve(ctx context.Context, p towpath.Project, branch, revision string) (resolvedBranch, resolved string, err error)
	// Read completes a change with its commit's author, message and files, and answers the pipeline files at its
	// revision by their paths.
	Read(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error)
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
	change, pipelines, why := c.read(ctx, project, recorded.Change, Wish{})
	if why == nil {
		_, why = c.startRuns(ctx, change, pipelines, func(*act) (store.RecordedChange, error) { return recorded, nil })
	}
	if why == nil || !isFinal(why) {
		return unlessRefused(why)
	}
	return c.settleWithout(ctx, recorded, why)
}

func (c *Conductor) project(ctx context.Context, id string) (p towpath.Project, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		p, _, err = tx.Project(id)
		return err
	})
	return p, err
}

// read completes a change, and answers the pipelines that it triggers: at least one.
func (c *Conductor) read(ctx context.Context, p towpath.Project, change towpath.Change, w Wish) (towpath.Change, []towpath.Pipeline, error) {
	change, files, err := c.repositories.Read(ctx, p, change)
	if err != nil {
		return change, nil, err
	}
	pipelines, err := pipelinesFor(p, change, files, w)
	if err == nil && len(pipelines) == 0 {
		err = untriggered(change, w.Pipeline)
	}
	return change, pipelines, err
}

// errUntriggered is the cause of an error that says that nothing is to be run for a change.
var errUntriggered = errors.New("nothing is triggered")

func untriggered(change towpath.Change, only string) error {
	err := towpath.Errorf(towpath.CodeConflict, "no pipeline is triggered by a %s to %s", change.Trigger, change.Branch)
	switch {
	case only != "":
		err = towpath.Errorf(towpath.CodeNotFound, "at %s there is no pipeline %q that is started by hand", change.Short(), only).
			WithHint("manual: true under on: allows it")
	case change.Trigger == towpath.TriggerManual:
		err = towpath.Errorf(towpath.CodeConflict, "at %s no pipeline may be started by hand", change.Short()).
			WithHint("manual: true under on: allows it")
	}
	err.Err = errUntriggered
	return err
}

// settleWithout notes why a change became no run.
func (c *Conductor) settleWithout(ctx context.Context, r store.RecordedChange, why error) error {
	err := c.store.Update(ctx, func(tx *store.Tx) error { return c.noteWithout(tx, r, why) })
	return unlessRefused(err)
}

func (c *Conductor) noteWithout(tx *store.Tx, r store.RecordedChange, why error) error {
	r.Outcome, r.Reason = store.ChangeFailed, why.Error()
	if errors.Is(why, errUntriggered) {
		r.Outcome = store.ChangeIgnored
	}
	c.log.Info("a change made no run", "project", r.Change.Project, "revision", r.Change.Short(), "reason", r.Reason)
	return tx.SettleChange(r, c.clock())
}

// startRuns makes the runs of a change, and settles it, in one commit.
func (c *Conductor) startRuns(
	ctx context.Context, change towpath.Change, pipelines []towpath.Pipeline, of func(*act) (store.RecordedChange, error),
) (runs []towpath.Run, err error) {
	err = c.update(ctx, func(a *act) error {
		recorded, err := of(a)
		if err != nil {
			return err
		}
		runs, err = a.createRuns(recorded, change, pipelines)
		return err
	})
	return runs, err
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
		return nil, towpath.Errorf(towpath.CodeInvalid, "%s has %d pipelines: %s", p.Name, len(pipelines), namesOf(pipelines)).
			WithHint("name one")
	}
	return pipelines, nil
}

func namesOf(pipelines []towpath.Pipeline) string {
	var names []string
	for _, p := range pipelines {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
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
	a.last = savedRun{run, 1}
	a.ring(TopicRuns)
	return run, a.settle(run.Project, run, append(effects, towpath.ShowRunStatus{Run: run.ID, State: run.State}))
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
