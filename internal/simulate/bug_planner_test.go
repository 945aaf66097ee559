//go:build !race

package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func bugsOfThePlanner() []bug {
	return []bug{
		{proved, "a planner that gives traffic to what it has only started", func(w *wiring) {
			w.plan = func(f deploy.Facts) deploy.Plan {
				return without[deploy.Probe](deploy.NewPlan(f))
			}
		}},
		{capacity, "a planner that takes the old side's traffic before the new side is there", func(w *wiring) { w.plan = emptiesFirst }},
		{drained, "a keeper that does not see what is in flight", func(w *wiring) {
			w.merge = func(target, balancer towpath.Observation, ok bool) towpath.Observation {
				seen := deploy.Merge(target, balancer, ok)
				for n := range seen.Instances {
					seen.Instances[n].Traffic.Requests, seen.Instances[n].Traffic.Streams = 0, 0
				}
				return seen
			}
		}},
		{watched, "figures in which no request ever failed", func(w *wiring) {
			w.merge = func(target, balancer towpath.Observation, ok bool) towpath.Observation {
				seen := deploy.Merge(target, balancer, ok)
				seen.Served = slices.Clone(seen.Served)
				for n := range seen.Served {
					seen.Served[n].Errors = 0
				}
				return seen
			}
			w.tune = func(s *scenario) { s.place, s.faults = watchedPlace(), faults{rotten: 0.5} }
		}},
		{ready, "a planner that forgets the old side while the new one is watched", func(w *wiring) {
			w.plan = forgetsEarly
			w.tune = func(s *scenario) { s.place, s.faults = watchedPlace(), faults{} }
		}},
		{settles, "a planner that leaves what it has stopped", func(w *wiring) {
			w.plan = func(f deploy.Facts) deploy.Plan {
				return without[deploy.Remove](deploy.NewPlan(f))
			}
		}},
	}
}

func watchedPlace() place {
	return place{
		strategy: towpath.StrategyBlueGreen, balancer: byProxy, instances: 2, minimum: 2, watched: 12 * time.Second,
		requests: time.Second, streams: 2 * time.Second, within: 6 * time.Second,
	}
}

// without leaves operations of one kind out of a plan.
func without[T deploy.Operation](p deploy.Plan) deploy.Plan {
	p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s deploy.Step) bool {
		_, is := s.Operation.(T)
		return is
	})
	return p
}

func forgetsEarly(f deploy.Facts) deploy.Plan {
	plan := deploy.NewPlan(f)
	if len(plan.Steps) == 0 {
		return plan
	}
	if _, is := plan.Steps[0].Operation.(deploy.Watch); !is {
		return plan
	}
	var old []string
	for _, i := range f.Observed.Instances {
		if i.Release == f.Environment.Live.Number && i.Traffic.Member {
			old = append(old, i.ID)
		}
	}
	if len(old) > 0 {
		plan.Steps = []deploy.Step{{Operation: deploy.Forget{Instances: old}}}
	}
	return plan
}

func emptiesFirst(f deploy.Facts) deploy.Plan {
	plan := deploy.NewPlan(f)
	if len(plan.Steps) == 0 {
		return plan
	}
	table, takes := map[string]int{}, false
	for _, i := range f.Observed.Instances {
		if i.Traffic.Member {
			table[i.ID] = 0
			takes = takes || i.Traffic.Weight > 0
		}
	}
	if _, probes := plan.Steps[0].Operation.(deploy.Probe); probes && takes {
		plan.Steps = append([]deploy.Step{{Operation: deploy.Shift{Weights: table}}}, plan.Steps...)
	}
	return plan
}
