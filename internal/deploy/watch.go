package deploy

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// beginWatch notes what had been answered before the goal takes traffic, so that all that comes after counts.
func beginWatch(s situation) []Step {
	d := s.Environment.Deployment
	if !s.isWatched() || !d.WatchedAt.IsZero() {
		return nil
	}
	return one(BeginWatch{Deployment: d.ID}, "release %d is watched for %s once it takes traffic",
		s.Environment.Goal.Number, brief(s.Environment.Definition.Watch.For))
}

// watch keeps the old side ready until the new one has stood its time, or gives the new one up.
func watch(s situation) []Step {
	if !s.isWatched() {
		return nil
	}
	switch v := s.verdict(); {
	case v.State == VerdictFail:
		return one(Condemn{Instances: ids(s.chosen), Reason: v.Text}, "the old side takes the traffic back")
	case !s.isWatchOver():
		return one(Watch{Until: s.watchEnd()}, "%s so far", v.Text)
	}
	return nil
}

// isWatched says that the deployment's release has to stand a watch. What goes back has stood it before.
func (s situation) isWatched() bool {
	return s.Environment.Definition.Watch.For > 0 && s.isBalanced() && s.isGated()
}

// watchEnd counts from the moment at which the release was seen with traffic, and, where it gets it little by little, not
// before it has all.
func (s situation) watchEnd() time.Time {
	d := s.Environment.Deployment
	from := later(d.TrafficAt, d.StepAt)
	if d.TrafficAt.IsZero() || s.isStepping() || s.Environment.Definition.Strategy.Kind == towpath.StrategyRolling && len(s.staying()) > 0 {
		from = s.Now
	}
	return from.Add(s.Environment.Definition.Watch.For)
}

func (s situation) isWatchOver() bool { return !s.Now.Before(s.watchEnd()) }

// verdict judges what the goal has answered since it is watched, beside the live release at the same time, or, where that
// has no traffic meanwhile, in all its time before.
func (s situation) verdict() Verdict {
	d, definition := s.Environment.Deployment, s.Environment.Definition.Watch
	since := func(release int) towpath.Served {
		return towpath.ServedBy(s.Observed.Served, release).Since(towpath.ServedBy(d.Baseline, release))
	}
	fresh, old := since(d.Release.Number), towpath.Served{}
	if live := s.Environment.Live.Number; live > 0 {
		old = since(live)
		if old.Requests < uint64(definition.Minimum) {
			old = towpath.ServedBy(d.Baseline, live)
		}
	}
	return Judge(definition, fresh, old, s.isWatchOver()).with(s.Observed.Findings, s.isWatchOver())
}

// verdictInWords is what is told of a release that has stood its watch; empty where it was not watched.
func (s situation) verdictInWords() string {
	if !s.isWatched() {
		return ""
	}
	return fmt.Sprintf("watched for %s: %s", brief(s.Environment.Definition.Watch.For), s.verdict().Text)
}
