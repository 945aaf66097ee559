//go:build !race

package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// onHosts makes every environment one on three hosts, each with so many slots.
func onHosts(slots int, strategy towpath.StrategyKind, by balancing) place {
	return place{
		instances: 3, hosts: 3, slots: slots, keep: 2, strategy: strategy, batch: 1, balancer: by,
		requests: 3 * time.Second, streams: 8 * time.Second, within: 6 * time.Second,
	}
}

// tunedTo has every story be about one kind of place, and of many pushes.
func tunedTo(p place, f faults) func(*scenario) {
	return func(s *scenario) {
		s.place, s.faults, s.shape, s.parallel, s.pushes = p, f, shape{}, true, 5
	}
}

// believing has the planner go by other facts.
func believing(change func(*deploy.Facts)) func(deploy.Facts) deploy.Plan {
	return func(f deploy.Facts) deploy.Plan {
		change(&f)
		return deploy.NewPlan(f)
	}
}

func bugsOnHosts() []bug {
	return []bug{
		{capacity, "a planner that replaces all in one batch, whatever the minimum is", func(w *wiring) {
			w.plan = believing(func(f *deploy.Facts) {
				f.Environment.Definition.Minimum, f.Environment.Definition.Strategy.Batch = 0, 3
			})
			p := onHosts(1, towpath.StrategyRolling, byCaddy)
			p.minimum = 2
			w.tune = tunedTo(p, faults{})
		}},
		{kept, "a planner that keeps no files", func(w *wiring) {
			w.plan = believing(func(f *deploy.Facts) {
				if t := f.Environment.Definition.Target.Hosts; t != nil {
					none := *t
					none.Keep = 0
					f.Environment.Definition.Target.Hosts = &none
				}
			})
			w.tune = tunedTo(onHosts(1, towpath.StrategyRolling, byHAProxy), faults{})
		}},
		{fenced, "orders that nobody can refuse, given as long as anybody likes", func(w *wiring) {
			w.outlasts = true
			w.tune = func(s *scenario) {
				tunedTo(onHosts(1, towpath.StrategyRolling, byHAProxy), faults{freezes: 0.1})(s)
				s.hosts = mostHosts
			}
		}},
		{settles, "a keeper that never looks again at a host that was gone", func(w *wiring) {
			w.merge = forgetsHosts()
			w.tune = tunedTo(onHosts(2, towpath.StrategyBlueGreen, byProxy), faults{away: 0.05})
		}},
		{drained, "a name that is taken for idle while clients still know it", func(w *wiring) {
			w.merge = func(target, balancer towpath.Observation, ok bool) towpath.Observation {
				seen := deploy.Merge(target, balancer, ok)
				for n := range seen.Instances {
					seen.Instances[n].Traffic.Uncounted = false
				}
				return seen
			}
			w.tune = tunedTo(onHosts(1, towpath.StrategyRolling, byDNS), faults{})
		}},
	}
}

// forgetsHosts has a host be away for ever once it was.
func forgetsHosts() func(target, balancer towpath.Observation, ok bool) towpath.Observation {
	away := map[string]string{}
	return func(target, balancer towpath.Observation, ok bool) towpath.Observation {
		seen := deploy.Merge(target, balancer, ok)
		seen.Slots = slices.Clone(seen.Slots)
		for n := range seen.Slots {
			s := &seen.Slots[n]
			if s.Problem != "" {
				away[s.Host] = s.Problem
			}
			s.Problem = away[s.Host]
		}
		return seen
	}
}

// inSteps is a canary's place.
func inSteps() place {
	p := onHosts(2, towpath.StrategyCanary, byProxy)
	p.steps = []step{{share: 10, lasts: 6 * time.Second}, {share: 40, promoted: true}}
	return p
}

func bugsInSteps() []bug {
	return []bug{
		{stepwise, "a planner that gives more than a step's share", func(w *wiring) {
			w.plan = believing(func(f *deploy.Facts) {
				steps := slices.Clone(f.Environment.Definition.Strategy.Steps)
				for n := range steps {
					steps[n].Share = 90
				}
				f.Environment.Definition.Strategy.Steps = steps
			})
			w.tune = tunedTo(inSteps(), faults{})
		}},
		{stepwise, "a planner that waits for no person", func(w *wiring) {
			w.plan = believing(func(f *deploy.Facts) {
				if d := f.Environment.Deployment; d != nil && !d.StepAt.IsZero() {
					promoted := *d
					promoted.PromotedAt = d.StepAt
					f.Environment.Deployment = &promoted
				}
			})
			w.tune = tunedTo(inSteps(), faults{})
		}},
		{stepwise, "a person's word that comes twice, and is taken for the next step", func(w *wiring) {
			w.anyStep = true
			p := inSteps()
			p.steps = []step{{share: 10, promoted: true}, {share: 20, promoted: true}, {share: 30, promoted: true}}
			w.tune = tunedTo(p, faults{doubled: 0.5, late: 0.5})
		}},
		{hooks, "a hook that is run again where it was cut off", func(w *wiring) {
			w.plan = believing(func(f *deploy.Facts) {
				if d := f.Environment.Deployment; d != nil {
					unaware := *d
					unaware.Hooks = slices.DeleteFunc(slices.Clone(d.Hooks), func(r towpath.HookReceipt) bool {
						return r.State == towpath.HookBegun
					})
					f.Environment.Deployment = &unaware
				}
			})
			p := onHosts(1, towpath.StrategyRolling, byHAProxy)
			p.hooked = true
			w.tune = tunedTo(p, faults{keeperDies: 0.2})
		}},
	}
}
