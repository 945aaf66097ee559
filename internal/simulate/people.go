package simulate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// The people of every world. Mira is a release manager; ben is not.
const (
	mira = "mira"
	ben  = "ben"
)

// people decide, and want things. They ask again where nobody answered.
type people struct {
	*process
	world *world
}

func (p *people) begin() {
	p.start()
	w, f := p.world, p.world.drawn.faults
	w.repository.push()
	for range w.drawn.pushes - 1 {
		w.after(w.dice.between(0, w.drawn.trouble), nil, "", w.repository.push)
	}
	if w.drawn.place.isPromoted() {
		w.every(2*time.Second, 5*time.Second, p.process, p.promote)
	}
	if f.restless > 0 {
		w.every(500*time.Millisecond, 1500*time.Millisecond, p.process, func() {
			if w.fault(f.restless) {
				p.want()
			}
		})
	}
}

// calm has people help where only a person can. What is wrong they see on the pages, where the judge looks as well.
func (p *people) calm() {
	if p.world.dice.chance(0.1) { // most stories have no run that has ended before
		p.runAgain()
	}
	p.world.every(5*time.Second, 8*time.Second, p.process, func() {
		for _, id := range sortedKeys(p.world.judge.runs) {
			for _, step := range p.world.judge.runs[id].Steps {
				if step.State == towpath.StepWaiting && step.Kind == towpath.KindApprove {
					p.decide(towpath.Alert{Key: "what still waits", Run: id, Step: step.Name}, towpath.Decision{Account: mira, Approved: true})
				}
			}
		}
		for _, name := range p.world.drawn.environments() {
			e := p.world.judge.places["shop/"+name]
			if e.Freeze != nil {
				p.thaw(name)
			}
			if isCutOff(e) {
				p.rollback(name)
			}
			if e.Halted != "" && e.Deployment == nil {
				p.deploy(name, p.world.judge.lastGood(e))
			}
		}
	})
}

// isCutOff says that a hook was, so that a person has to look.
func isCutOff(e towpath.Environment) bool {
	return e.Deployment != nil && slices.ContainsFunc(e.Deployment.Hooks, func(r towpath.HookReceipt) bool {
		return r.State == towpath.HookUnknown && e.Deployment.State == towpath.DeploymentRunning
	})
}

// unrecorded leaves the audit out: it is judged elsewhere.
func unrecorded(*store.Tx) error { return nil }

// asked is the mail that wants a decision: she looks at what it is about, thinks, and decides on what she saw.
func (p *people) asked(a towpath.Alert) {
	w := p.world
	if w.fault(w.drawn.faults.unwilling / 2) {
		return // and lets it expire
	}
	decision := towpath.Decision{Account: mira, Approved: !w.fault(w.drawn.faults.unwilling)}
	if w.fault(w.drawn.faults.unwilling) {
		w.after(time.Second, p.process, "", func() { p.decide(a, towpath.Decision{Account: ben, Approved: true}) })
	}
	w.after(w.dice.between(500*time.Millisecond, 6*time.Second), p.process, "", func() { p.decide(a, decision) })
}

// decide looks, and then says yes or no.
func (p *people) decide(a towpath.Alert, d towpath.Decision) {
	s := p.world.server
	p.send(call{
		what:  fmt.Sprintf("%s looks at %s", d.Account, a.Key),
		serve: func(ctx context.Context) (any, error) { return s.shown(ctx, a) },
		done: func(said any, _ error) {
			seen, _ := said.(shown)
			if p.world.dice.chance(0.1) && d.Account == mira {
				p.decideOn(shown{request: seen.request, intent: "sha256:something else"}, d)
			}
			p.decideOn(seen, d)
		},
	})
}

// shown is what a person sees before a decision.
type shown struct {
	request towpath.Approval
	intent  string
	digests []string
}

func (s *server) shown(ctx context.Context, a towpath.Alert) (seen shown, err error) {
	err = mortal{s}.View(ctx, func(tx *store.Tx) error {
		if seen.request, _, err = tx.Approval(a.Run + "/" + a.Step); err != nil {
			return err
		}
		run, _, err := tx.Run(a.Run)
		for _, step := range run.Steps {
			for _, artifact := range step.Artifacts {
				seen.digests = append(seen.digests, artifact.Digest)
			}
		}
		seen.intent = seen.request.Intent
		return err
	})
	return seen, err
}

func (p *people) decideOn(seen shown, d towpath.Decision) {
	s, j := p.world.server, p.world.judge
	j.decides(seen, d)
	what := seen.request.ID
	if seen.intent != seen.request.Intent {
		what = "something else than " + what
	}
	p.send(call{
		what: fmt.Sprintf("%s decides on %s: %t", d.Account, what, d.Approved),
		serve: func(ctx context.Context) (any, error) {
			_, err := s.conductor.Decide(ctx, seen.request.ID, seen.intent, d, unrecorded)
			if err == nil {
				j.decided(seen, d)
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

// send has a call of a person travel, again where nobody answered or could.
func (p *people) send(c call) {
	c.from = p.process
	done, tries := c.done, 0
	c.done = func(said any, err error) {
		if tries++; err != nil && !refused(err) {
			if tries < 20 {
				p.world.after(2*time.Second, p.process, "", func() { p.world.send(c) })
			}
			return
		}
		if err == nil {
			done(said, nil)
		}
	}
	p.world.send(c)
}

// promote lets the traffic move where it waits for a person.
func (p *people) promote() {
	for _, name := range p.world.drawn.environments() {
		d := p.world.judge.places["shop/"+name].Deployment
		if d != nil && d.PromotedBy == "" && d.State == towpath.DeploymentRunning {
			step := 0
			if len(p.world.drawn.place.steps) > 0 {
				step = d.CanaryStep + 1
			}
			p.change(name, fmt.Sprintf("promote step %d of %s in", step, d.ID), func(at time.Time) towpath.EnvironmentEvent {
				p.world.judge.promotes("shop/"+name, d.ID, step)
				word := towpath.Promoted{Deployment: d.ID, Step: step, By: ben, At: at}
				if p.world.wiring.anyStep {
					word.Step = 0
				}
				return word
			}, nil)
		}
	}
}

// want is one of the things that people want without being asked.
func (p *people) want() {
	d, name := p.world.dice, pick(p.world.dice, p.world.drawn.environments()...)
	switch d.IntN(8) {
	case 0:
		p.cancel(fmt.Sprintf("id%d", 1+d.IntN(p.world.server.ids+1)))
	case 1, 2:
		p.rollback(name)
	case 3:
		p.deploy(name, 1+d.IntN(p.world.drawn.pushes+1))
	case 4:
		p.freeze(name)
	case 5, 6:
		p.runAgain()
	default:
		p.run()
	}
}

func (p *people) cancel(run string) {
	s, j := p.world.server, p.world.judge
	p.send(call{
		what: "cancel " + run,
		serve: func(ctx context.Context) (any, error) {
			_, err := s.conductor.Cancel(ctx, run, flow.Act{By: ben, Record: unrecorded})
			if err == nil {
				j.acknowledge(fact{kind: aCancel, subject: run})
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

func (p *people) rollback(name string) {
	s, j, key := p.world.server, p.world.judge, "shop/"+name
	p.send(call{
		what: "roll back " + key,
		serve: func(ctx context.Context) (any, error) {
			d, err := s.conductor.Rollback(ctx, key, 0, flow.Act{By: ben, Record: unrecorded})
			if err == nil {
				j.acknowledge(fact{kind: aDeployment, subject: d.ID, part: key})
				j.rolledBack(key, d)
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

func (p *people) deploy(name string, release int) {
	s, j, key := p.world.server, p.world.judge, "shop/"+name
	j.wants(key, release)
	p.send(call{
		what: fmt.Sprintf("deploy release %d to %s", release, key),
		serve: func(ctx context.Context) (any, error) {
			d, err := s.conductor.Deploy(ctx, key, release, flow.Act{By: ben, Record: unrecorded})
			if err == nil && d.ID != "" {
				j.acknowledge(fact{kind: aDeployment, subject: d.ID, part: key})
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

// freeze stops deployments for a while.
func (p *people) freeze(name string) {
	p.change(name, "freeze", func(at time.Time) towpath.EnvironmentEvent {
		return towpath.Frozen{By: ben, Reason: "a sale", At: at}
	}, func() { p.world.judge.froze("shop/" + name) })
	p.world.after(p.world.dice.between(2*time.Second, 15*time.Second), p.process, "", func() { p.thaw(name) })
}

func (p *people) thaw(name string) {
	p.change(name, "thaw", func(at time.Time) towpath.EnvironmentEvent {
		p.world.judge.thaws("shop/" + name) // also where it comes late, and ends a later freeze
		return towpath.Thawed{By: ben, At: at}
	}, nil)
}

// change acts on an environment; taken is called where the server has answered that it did.
func (p *people) change(name, what string, event func(time.Time) towpath.EnvironmentEvent, taken func()) {
	s, key := p.world.server, "shop/"+name
	p.send(call{
		what: what + " " + key,
		serve: func(ctx context.Context) (any, error) {
			_, err := s.conductor.Change(ctx, key, unrecorded, func(towpath.Environment) towpath.EnvironmentEvent {
				return event(s.wall())
			})
			if err == nil && taken != nil {
				taken()
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

// run asks for a run by hand.
func (p *people) run() {
	s, j := p.world.server, p.world.judge
	p.send(call{
		what: "start a run",
		serve: func(ctx context.Context) (any, error) {
			j.wishes++
			runs, err := s.conductor.StartRun(ctx, flow.Wish{Project: project.ID, By: ben, Record: unrecorded})
			for _, run := range runs {
				j.acknowledge(fact{kind: aRun, subject: run.ID})
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}

// runAgain asks for a run, or a part of it, once more.
func (p *people) runAgain() {
	s, j, d := p.world.server, p.world.judge, p.world.dice
	of, is := j.endedRun(d)
	if !is {
		return
	}
	step := pick(d, of.Steps...).Name
	wish := flow.Repeat{
		Run: of.ID, Again: pick(d, towpath.Again{}, towpath.Again{Failed: true}, towpath.Again{Step: step}, towpath.Again{From: step}),
		NewPlan: d.chance(0.3), By: ben, Record: func(*store.Tx, towpath.Run) error { return nil },
	}
	p.send(call{
		what: fmt.Sprintf("run %d again: %+v", of.Number, wish.Again),
		serve: func(ctx context.Context) (any, error) {
			j.wishes++
			run, err := s.conductor.Rerun(ctx, wish)
			if err == nil {
				j.acknowledge(fact{kind: aRun, subject: run.ID})
				p.world.say("server", "run %d repeats run %d: %+v", run.Number, of.Number, wish.Again)
			}
			return nil, err
		},
		done: func(any, error) {},
	})
}
