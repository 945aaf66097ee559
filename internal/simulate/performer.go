package simulate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/flow"
)

const (
	busyPace   = 2 * time.Second // between two looks while something is under way
	ailingPace = time.Second     // while something is wrong
	idlePace   = 5 * time.Second
	watchPace  = time.Second // while a release is watched
)

// performer keeps one environment. A turn that was begun and then overtaken ends without a word.
type performer struct {
	keeper   *keeper
	site     *site
	order    flow.Order
	told     time.Time       // server's time of the order
	heard    time.Duration   // machine's steady time of it
	observed towpath.Epoch   // highest that drivers have told of
	sights   map[*box]*sight // what was seen last of each machine
	isStale  bool
	isOver   bool
	turn     int  // the one that goes on
	cuttable bool // what is in hand
	asleep   bool // between two turns
	woken    bool // the next pause is none
	tries    tries
	reported string
	unread   error
}

func (p *performer) key() string { return p.site.key }

// serverNow is what the server's clock says, as far as it is known here.
func (p *performer) serverNow() time.Time { return p.told.Add(p.keeper.steady() - p.heard) }

func (p *performer) take(o flow.Order, now time.Time) {
	p.order, p.told, p.heard = o, now, p.keeper.steady()
	p.isStale = isBefore(o.Environment.Epoch, p.observed)
}

func isBefore(a, b towpath.Epoch) bool {
	return a.Number < b.Number || a.Number == b.Number && a.Holder != b.Holder
}

// accept takes an order unless a newer one is there, and says whether it is another.
func (p *performer) accept(o flow.Order, now time.Time, isAnswer bool) bool {
	known, given := p.order.Environment, o.Environment
	isSame := known.Epoch == given.Epoch && known.Serial == given.Serial
	isOlder := given.Epoch.Number < known.Epoch.Number || given.Epoch.Number == known.Epoch.Number && given.Serial < known.Serial
	wasStale := p.isStale
	if isOlder || isSame && !isAnswer && !wasStale {
		return false
	}
	p.take(o, now)
	if isAnother(known, given) && p.cuttable {
		p.again(0)
	}
	return !isSame || wasStale
}

// isAnother says that what is under way has to be planned again.
func isAnother(a, b towpath.Environment) bool {
	return a.Goal != b.Goal || a.Epoch != b.Epoch || underWay(a) != underWay(b)
}

func underWay(e towpath.Environment) string {
	if e.Deployment == nil {
		return ""
	}
	return e.Deployment.ID + string(e.Deployment.State)
}

// again begins a new turn after a while; the one before it ends.
func (p *performer) again(after time.Duration) {
	if p.woken {
		after, p.woken = 0, false
	}
	p.turn++
	p.cuttable, p.asleep = false, true
	p.next(after, func() {
		p.asleep = false
		p.round()
	})
}

// wake ends a pause; what is in hand goes on, and is followed by no pause.
func (p *performer) wake() {
	p.woken = true
	if p.asleep {
		p.again(0)
	}
}

// next goes on with the present turn.
func (p *performer) next(after time.Duration, do func()) {
	turn := p.turn
	p.keeper.world.after(after, p.keeper.process, "", func() {
		if p.turn == turn && !p.isOver {
			do()
		}
	})
}

// mayAct says that nothing has to come from the server first.
func (p *performer) mayAct() bool { return !p.isStale && p.keeper.mayBegin() }

// round looks, once both drivers have heard of its epoch: what one before it has sent and not seen done is refused from
// then on, so that what it sees holds.
func (p *performer) round() {
	if !p.mayAct() {
		p.again(busyPace)
		return
	}
	if !p.site.isHeardOf(p.order.Environment.Epoch, p.keeper.host) && p.keeper.world.wiring.claims {
		p.claim()
		return
	}
	p.look()
}

func (p *performer) claim() {
	epoch := p.order.Environment.Epoch
	p.give(order{epoch: epoch}, func(err error) {
		if err != nil {
			p.fail(p.facts(towpath.Observation{}), "to be heard", err)
			return
		}
		if p.order.Environment.Epoch != epoch {
			p.next(0, p.round)
			return
		}
		p.next(0, p.look)
	})
}

// look gathers the facts and plans.
func (p *performer) look() {
	w := p.keeper.world
	seenAt := w.now
	target := p.site.target.observe(p)
	w.judge.looks(p.site, p.order.Environment.Epoch, target)
	var balancer towpath.Observation
	p.unread = nil
	if p.site.balancer != nil {
		balancer, p.unread = p.site.balancer.observe()
	}
	p.next(w.dice.between(time.Millisecond, 20*time.Millisecond), func() {
		seen := w.wiring.merge(target, balancer, p.unread == nil)
		ahead := p.serverNow().Sub(p.keeper.wall())
		for n := range seen.Instances {
			seen.Instances[n].Since = seen.Instances[n].Since.Add(ahead)
		}
		for n := range seen.Slots {
			seen.Slots[n].Since = seen.Slots[n].Since.Add(ahead)
		}
		if isBefore(p.order.Environment.Epoch, seen.Epoch) {
			p.refused(seen.Epoch)
			p.again(busyPace)
			return
		}
		p.plan(p.facts(seen), seenAt)
	})
}

// facts are those that a plan is made from.
func (p *performer) facts(seen towpath.Observation) deploy.Facts {
	f := deploy.Facts{Environment: p.order.Environment, Observed: seen, Now: p.serverNow()}
	f.Environment, _ = f.Environment.Next(f.TrafficSeen())
	return f
}

// plan plans, tells the server what was seen where that is news, and performs.
func (p *performer) plan(f deploy.Facts, seenAt time.Duration) {
	plan := p.keeper.world.wiring.plan(f)
	steps := p.keeper.world.wiring.upTo(plan)
	p.site.world.judge.planned(p.site, plan)
	perform := func() { p.perform(f, steps, seenAt) }
	if len(steps) > 0 {
		if _, isUrgent := steps[0].Operation.(deploy.Shift); isUrgent && !hasTrafficAgain(p.order.Environment, f.Observed) {
			perform()
			return
		}
	}
	seen := f.TrafficSeen()
	report := summary(f.Observed, plan)
	if !isTrafficNews(p.order.Environment, seen) && report == p.reported {
		perform()
		return
	}
	event := func(at time.Time) towpath.EnvironmentEvent {
		seen.At = at
		return seen
	}
	p.report(f, "what it sees", event, func(isNews bool, err error) {
		switch {
		case err != nil:
			p.again(busyPace)
		case isNews:
			p.again(0)
		default:
			p.reported = report
			perform()
		}
	})
}

// hasTrafficAgain says that an instance which is recorded as being without traffic has some: that has to be recorded
// before it loses it.
func hasTrafficAgain(e towpath.Environment, seen towpath.Observation) bool {
	return slices.ContainsFunc(seen.Instances, func(i towpath.Instance) bool {
		_, recorded := e.Idle[i.ID]
		return recorded && (!i.Traffic.Known || i.Traffic.Weight > 0)
	})
}

// summary tells two observations apart, as far as people want to know.
func summary(seen towpath.Observation, plan deploy.Plan) string {
	var b strings.Builder
	b.WriteString(plan.Note)
	for _, i := range seen.Instances {
		fmt.Fprintf(&b, "|%s %s %s %d", i.ID, i.State, i.Health, i.Traffic.Weight)
	}
	return b.String()
}

// isTrafficNews says that others are without traffic than the server knows, or that a time begins there, or begins anew.
func isTrafficNews(e towpath.Environment, seen towpath.TrafficObserved) bool {
	told, _ := e.Next(seen)
	if was, is := e.Deployment, told.Deployment; is != nil && (!is.TrafficAt.Equal(was.TrafficAt) || !is.StepAt.Equal(was.StepAt)) {
		return true
	}
	return told.LastInstance > e.LastInstance || !maps.EqualFunc(told.Idle, e.Idle, time.Time.Equal)
}

// report tells the server, and takes its answer as the order.
func (p *performer) report(f deploy.Facts, what string, event func(time.Time) towpath.EnvironmentEvent, done func(isNews bool, err error)) {
	k, s, turn := p.keeper, p.keeper.world.server, p.turn
	k.world.send(call{
		from: k.process, what: "tells of " + p.key() + ": " + what,
		serve: func(ctx context.Context) (any, error) {
			order, err := s.conductor.Reported(ctx, p.key(), flow.Report{Epoch: f.Environment.Epoch, Observed: &f.Observed, Event: event})
			return answerReport{order, s.wall()}, err
		},
		done: func(said any, err error) {
			if err != nil {
				p.unheard(err)
			}
			isNews := false
			if answer, is := said.(answerReport); is && err == nil {
				isNews = p.accept(answer.order, answer.now, true)
			}
			if p.turn == turn && !p.isOver {
				done(isNews, err)
			}
		},
	})
}

// answerReport is the server's answer with its time.
type answerReport struct {
	order flow.Order
	now   time.Time
}

// unheard is a report that the server did not take.
func (p *performer) unheard(err error) {
	if towpath.CodeOf(err) == towpath.CodeStale {
		p.refused(towpath.Epoch{})
		return
	}
	p.keeper.isUp = false
	p.keeper.kick()
}

// refused notes that another's epoch holds, and asks the server for one above it.
func (p *performer) refused(seen towpath.Epoch) {
	p.isStale = true
	if p.observed.Number < seen.Number || p.observed.Number == seen.Number && seen.Holder != "" {
		p.observed = seen
	}
	p.keeper.kick()
}
