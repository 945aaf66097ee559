package flow

import (
	"context"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Repeat is a person's wish for a run to be run again.
type Repeat struct {
	Run        string // ID
	Again      towpath.Again
	NewPlan    bool // the pipeline file is read again; else the plan is the run's own
	By         string
	Shell      *towpath.Shell                     // in the place of the one step's script; nil: it runs
	AllowForks bool                               // the person may let forks' changes run
	Record     func(*store.Tx, towpath.Run) error // into the audit
}

// Rerun makes a run that repeats another, of the same change. CodeConflict, CodeNotFound and CodeForbidden say why not.
func (c *Conductor) Rerun(ctx context.Context, w Repeat) (made towpath.Run, err error) {
	project, of, err := c.repeated(ctx, w)
	if err != nil {
		return made, err
	}
	change, plan, err := c.planAgain(ctx, project, of, w)
	if err != nil {
		return made, err
	}
	err = c.update(ctx, func(a *act) error {
		if of, _, err = a.tx.Run(of.ID); err != nil {
			return err
		}
		made, err = a.repeat(of, change, plan, w)
		if err != nil {
			return err
		}
		return w.Record(a.tx, made)
	})
	return made, err
}

// repeated answers the run that is to be repeated, where anybody may.
func (c *Conductor) repeated(ctx context.Context, w Repeat) (project towpath.Project, of towpath.Run, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if of, _, err = tx.Run(w.Run); err != nil {
			return err
		}
		project, _, err = tx.Project(of.Project)
		return err
	})
	switch isFork := of.Change.IsFromFork(); {
	case err != nil:
	case of.Shell != nil:
		err = towpath.Errorf(towpath.CodeConflict, "run %d was a debug shell", of.Number).WithHint("it repeats run %d", of.Repeats.Number)
	case project.Paused:
		err = towpath.Errorf(towpath.CodeConflict, "%s is paused: no new runs are started", project.Name)
	case isFork && project.Forks == towpath.ForksIgnore:
		err = errForksIgnored
	case isFork && project.Forks != towpath.ForksRun && !w.AllowForks:
		err = towpath.Errorf(towpath.CodeForbidden, "run %d is of a fork's change, which waits for a maintainer's go", of.Number)
	}
	return project, of, err
}

// planAgain answers by which plan the run is repeated, and its change. What was trusted is so no longer where its branch is
// not protected any more.
func (c *Conductor) planAgain(
	ctx context.Context, p towpath.Project, of towpath.Run, w Repeat,
) (towpath.Change, towpath.Pipeline, error) {
	change := of.Change
	if !w.NewPlan {
		isBranch := change.Tag() == "" && change.Request == nil
		change.Trusted = change.Trusted && (!isBranch || trigger.IsProtected(p, change.Branch))
		return change, of.Plan(), nil
	}
	change.Pipelines = []string{of.Pipeline}
	found, err := c.read(ctx, p, change, Wish{Inputs: change.Inputs, Scripts: isOfScripts(of)})
	if err != nil {
		return change, towpath.Pipeline{}, err
	}
	i := slices.IndexFunc(found.pipelines, func(made towpath.Pipeline) bool { return made.Name == of.Pipeline })
	if i < 0 {
		return change, towpath.Pipeline{}, towpath.Errorf(towpath.CodeNotFound, "at %s there is no pipeline %s any more that this change starts",
			change.Short(), of.Pipeline).WithHint("without --new-plan it runs as it did")
	}
	found.change.Pipelines = of.Change.Pipelines
	return found.change, found.pipelines[i], nil
}

func isOfScripts(r towpath.Run) bool {
	return slices.ContainsFunc(r.Steps, func(s towpath.Step) bool { return s.Excluded == scriptsOnly })
}

func (a *act) repeat(of towpath.Run, change towpath.Change, plan towpath.Pipeline, w Repeat) (towpath.Run, error) {
	number, err := a.tx.NextRunNumber(of.Pipeline)
	if err != nil {
		return towpath.Run{}, err
	}
	made, err := of.Repeat(towpath.NewRun(a.newID(), of.Project, number, plan, change), w.Again)
	if err != nil {
		return made, err
	}
	made.Repeats.By = w.By
	if w.Shell != nil {
		if made, err = made.WithShell(*w.Shell, a.shells); err != nil {
			return made, err
		}
	}
	if err := a.barsAgain(made); err != nil {
		return made, err
	}
	kept, err := a.tx.Artifacts(of.ID)
	if err != nil {
		return made, err
	}
	if err := areThere(made, of, kept); err != nil {
		return made, err
	}
	if made, err = a.beginRun(made); err != nil {
		return made, err
	}
	return made, a.keepAgain(made, kept)
}

// barsAgain refuses a deployment that policy would refuse once the run comes to it.
func (a *act) barsAgain(made towpath.Run) error {
	for _, s := range made.Steps {
		if s.Kind != towpath.KindDeploy || s.State.IsFinal() || s.Excluded != "" {
			continue
		}
		d, _ := made.Environment(s.Deploy)
		policy, err := a.tx.Policy(towpath.EnvironmentKey(made.Pipeline, d.Name))
		if err != nil {
			return err
		}
		reason := approval.BarsBranch(made.Change, d, policy)
		if reason == "" {
			reason, err = a.exceeds(policy, d)
		}
		if err != nil {
			return err
		}
		if reason != "" {
			return towpath.Errorf(towpath.CodeForbidden, "%s", reason)
		}
	}
	return nil
}

// areThere refuses a repetition that needs artifacts which are not kept any more.
func areThere(made, of towpath.Run, kept []towpath.Artifact) error {
	for _, artifact := range made.TakenOver() {
		if !slices.Contains(kept, artifact) {
			return towpath.Errorf(towpath.CodeConflict, "%s of %s is needed, and is not kept any more since run %d", artifact.Path, artifact.Step, of.Number).
				WithHint("run it again as well: towpath rerun %s#%d --from %q", of.Pipeline, of.Number, artifact.Step)
		}
	}
	return nil
}

// keepAgain keeps what the run has taken over for as long as what it makes itself.
func (a *act) keepAgain(made towpath.Run, kept []towpath.Artifact) error {
	for _, s := range made.Steps {
		for _, artifact := range s.Artifacts {
			if s.From == 0 || !slices.Contains(kept, artifact) {
				continue
			}
			if err := a.tx.KeepArtifact(made.ID, artifact, a.at); err != nil {
				return err
			}
		}
	}
	return nil
}
