package flow

import (
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// A line is the runs of one pipeline and branch. Where the pipeline says so, they go one after the other.

// behind answers the number of the run that one has to wait for: the newest of its line that is older and has not ended; 0
// where there is none.
func (a *act) behind(run towpath.Run) (int, error) {
	older, err := a.tx.Runs(store.RunFilter{
		Pipeline: run.Pipeline, Branch: run.Change.Branch, Older: run.Number, States: towpath.UnfinishedRuns, Limit: 1,
	})
	if err != nil || len(older) == 0 {
		return 0, err
	}
	return older[0].Number, nil
}

// waitingIn answers the runs of a run's line that wait for their turn, the oldest first.
func (a *act) waitingIn(run towpath.Run) ([]towpath.Run, error) {
	waiting, err := a.tx.Runs(store.RunFilter{
		Pipeline: run.Pipeline, Branch: run.Change.Branch, States: []towpath.RunState{towpath.RunWaiting},
	})
	slices.Reverse(waiting)
	return waiting, err
}

// startNext tells the runs of a line whom they wait for now that one of it has ended: the first begins, where every older
// one has ended.
func (a *act) startNext(e towpath.StartNext) error {
	ended, _, err := a.tx.Run(e.Run)
	if err != nil {
		return err
	}
	waiting, err := a.waitingIn(ended)
	if err != nil {
		return err
	}
	for _, run := range waiting {
		behind, err := a.behind(run)
		if err != nil {
			return err
		}
		_, err = a.runHappens(run.ID, towpath.LineMoved{Behind: behind, At: a.at})
		if unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}
