package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Silent is how long a worker may say nothing before it is thought gone; it speaks up much more often.
const Silent = time.Minute

// Why says for people why an attempt waits: no worker fits it, those that fit are away, its pipeline is at its limit, or
// all are busy.
func Why(l store.Lane, workers []store.KnownWorker, now time.Time) string {
	var there, away []store.KnownWorker
	for _, w := range workers {
		switch {
		case !l.First.Selector.Admits(w.Worker):
		case IsThere(w, now):
			there = append(there, w)
		default:
			away = append(away, w)
		}
	}
	switch {
	case len(workers) == 0:
		return "no worker is connected"
	case len(there) == 0 && len(away) == 0:
		return fmt.Sprintf("no worker has %s; %s", misfit(l.First.Selector, workers), platforms(workers))
	case len(there) == 0:
		return "no worker that fits is there; " + awayText(away[0], now)
	case isFull(l):
		return fmt.Sprintf("%s runs %d %s, and may run no more at a time", l.Pipeline, l.Running, plural(l.Running, "step", "steps"))
	}
	return fmt.Sprintf("waiting for one of %d %s to be free", len(there), plural(len(there), "worker", "workers"))
}

// LaneOf answers the lane of a pipeline's steps that ask for that; one that nothing is known of where nothing waits in it.
func LaneOf(lanes []store.Lane, pipeline string, s towpath.Selector) store.Lane {
	i := slices.IndexFunc(lanes, func(l store.Lane) bool {
		return l.Pipeline == pipeline && l.First.Selector.String() == s.String()
	})
	if i < 0 {
		return store.Lane{Pipeline: pipeline, First: store.QueuedStep{Selector: s}}
	}
	return lanes[i]
}

// IsThere says that a worker would be given steps.
func IsThere(w store.KnownWorker, now time.Time) bool {
	return !w.Draining && now.Sub(w.SeenAt) <= Silent
}

// IsHopeless says that nobody who is there may run what is in the lane.
func IsHopeless(l store.Lane, workers []store.KnownWorker, now time.Time) bool {
	return !slices.ContainsFunc(workers, func(w store.KnownWorker) bool {
		return IsThere(w, now) && l.First.Selector.Admits(w.Worker)
	})
}

func awayText(w store.KnownWorker, now time.Time) string {
	if w.Draining {
		return w.Name + " is drained"
	}
	return fmt.Sprintf("%s was not heard of for %s", w.Name, now.Sub(w.SeenAt).Round(time.Second))
}

// misfit names what keeps every worker from fitting: what none has, or what none has together with the rest.
func misfit(s towpath.Selector, workers []store.KnownWorker) string {
	var all []string
	for _, part := range s.Parts() {
		if !slices.ContainsFunc(workers, func(w store.KnownWorker) bool { return part.Admits(w.Worker) }) {
			return part.String()
		}
		all = append(all, part.String())
	}
	return enumerated(all)
}

// enumerated is "a", "a and b", "a, b and c".
func enumerated(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// platforms counts workers by platform: "3 have linux/amd64, 1 has darwin/arm64".
func platforms(workers []store.KnownWorker) string {
	count := map[string]int{}
	for _, w := range workers {
		count[w.Platform()]++
	}
	var parts []string
	for platform, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s %s", n, plural(n, "has", "have"), platform))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
