package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// longestChain is how many runs there may be of which each started the next.
const longestChain = 10

// isFollowed says that pipelines run after this one passes: on its default branch.
func (a *act) isFollowed(run towpath.Run) (bool, error) {
	followers, err := a.tx.Followers(run.Pipeline)
	if err != nil || len(followers) == 0 {
		return false, err
	}
	project, _, err := a.tx.Project(run.Project)
	return run.Change.Branch == project.DefaultBranch, err
}

// startDownstream records a change for each pipeline that runs after this one.
func (a *act) startDownstream(e towpath.StartDownstream) error {
	run, _, err := a.tx.Run(e.Run)
	if errors.Is(err, store.ErrNotFound) {
		return nil // and with it what it would have started
	}
	if err != nil {
		return err
	}
	followers, err := a.tx.Followers(run.Pipeline)
	if err != nil {
		return err
	}
	chain, err := a.chainTo(run)
	if err != nil {
		return err
	}
	for _, f := range followers {
		if err := a.follow(run, f, chain); err != nil {
			return fmt.Errorf("start %s after %s: %w", f.Pipeline, run.Pipeline, err)
		}
	}
	return nil
}

// follow records the change that starts a pipeline after a run. What would go round in a circle is recorded too, so that
// it can be seen why it went no further.
func (a *act) follow(run towpath.Run, f store.Follower, chain []string) error {
	project, _, err := a.tx.Project(f.Project)
	if err != nil || project.Paused {
		return err
	}
	revision, err := a.revisionAfter(run, project)
	if err != nil || revision == "" {
		return err
	}
	change := towpath.Change{
		Project: project.ID, Branch: project.DefaultBranch, Revision: revision, Trigger: towpath.TriggerPipeline,
		Pipelines: []string{f.Pipeline}, Upstream: run.ID, Trusted: true, SeenAt: a.at,
	}
	key := "after/" + run.ID + "/" + f.Pipeline
	isNew, err := a.tx.RecordChange(change, key)
	why := endOfChain(chain, f.Pipeline)
	if err != nil || !isNew || why == "" {
		return err
	}
	recorded, err := a.tx.RecordedChange(change, key)
	if err != nil {
		return err
	}
	recorded.Outcome, recorded.Reason = store.ChangeIgnored, why
	return a.tx.SettleChange(recorded, a.at)
}

// revisionAfter is the run's own in its own project, and elsewhere the newest that is known; empty where there is none.
func (a *act) revisionAfter(run towpath.Run, project towpath.Project) (string, error) {
	if project.ID == run.Project {
		return run.Change.Revision, nil
	}
	return a.tx.Head(project.ID, project.DefaultBranch)
}

// chainTo answers the pipelines of the runs that led to this one, each of which started the next, and its own at the end.
func (a *act) chainTo(run towpath.Run) ([]string, error) {
	chain := []string{run.Pipeline}
	for run.Change.Upstream != "" && len(chain) <= longestChain {
		before, _, err := a.tx.Run(run.Change.Upstream)
		if errors.Is(err, store.ErrNotFound) {
			break // it is not kept any more
		}
		if err != nil {
			return nil, err
		}
		run = before
		chain = append(chain, run.Pipeline)
	}
	slices.Reverse(chain)
	return chain, nil
}

// endOfChain says why a pipeline does not follow a chain of others; empty is that it does.
func endOfChain(chain []string, next string) string {
	shown := strings.Join(append(slices.Clone(chain), next), ", ")
	switch {
	case slices.Contains(chain, next):
		return "it would start itself for ever: each of these starts the next: " + shown
	case len(chain) >= longestChain:
		return fmt.Sprintf("at most %d pipelines follow each other, and each of these starts the next: %s", longestChain, shown)
	}
	return ""
}
