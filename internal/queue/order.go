package queue

import (
	"cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Next answers the step that is the worker's turn: of those that it may run, in lanes that are not at their pipeline's
// limit, the one that comes first. Of two steps that comes first
//
//   - which has the higher priority, which an administrator gives to a project;
//   - whose run has begun: what was begun is finished before more is begun, so that the runs under way are few;
//   - whose pipeline has fewer steps running, and then the one whose turn was longest ago, so that nobody is kept out by
//     somebody who has more to do;
//   - which has waited longer.
func Next(lanes []store.Lane, w towpath.Worker) (next store.QueuedStep, found bool) {
	var best store.Lane
	for _, l := range lanes {
		if isFull(l) || !l.First.Selector.Admits(w) {
			continue
		}
		if !found || before(l, best) < 0 {
			best, found = l, true
		}
	}
	return best.First, found
}

// isFull says that a pipeline runs as many steps as it may.
func isFull(l store.Lane) bool { return l.AtOnce > 0 && l.Running >= l.AtOnce }

func before(a, b store.Lane) int {
	return cmp.Or(
		-cmp.Compare(a.First.Priority, b.First.Priority),
		-cmp.Compare(bit(a.First.Begun), bit(b.First.Begun)),
		cmp.Compare(a.Running, b.Running),
		a.Served.Compare(b.Served),
		a.First.ReadyAt.Compare(b.First.ReadyAt),
		cmp.Compare(a.First.Run, b.First.Run),
		cmp.Compare(a.First.Step, b.First.Step),
	)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
