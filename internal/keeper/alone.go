package keeper

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/secret"
)

// alone is what a keeper does, and has done, without its server. As long as there is one, the environment's record is the
// keeper's own: the same reducer decides, and its word is on the disk before anything is done. It ends when the server
// has heard all of it.
type alone struct {
	Given towpath.Environment `json:"given"`           // as the server had it last
	Backs []towpath.WentBack  `json:"backs,omitempty"` // oldest first; State is empty while the last is under way
}

// after notes how what is under way ends. What others read is left as it is.
func (a alone) after(effects []towpath.Effect) *alone {
	a.Backs = slices.Clone(a.Backs)
	for _, e := range effects {
		recorded, is := e.(towpath.RecordDeployment)
		if !is || len(a.Backs) == 0 {
			continue
		}
		back := &a.Backs[len(a.Backs)-1]
		back.Hooks = recorded.Deployment.Hooks
		if recorded.Deployment.State.IsFinal() {
			back.State, back.Outcome = recorded.Deployment.State, recorded.Deployment.Outcome
		}
	}
	return &a
}

// isUnderWay says that it has not ended yet.
func (a *alone) isUnderWay() bool {
	return a != nil && len(a.Backs) > 0 && a.Backs[len(a.Backs)-1].State == ""
}

// sight is what was seen last, and whether it can be acted on without the server.
type sight struct {
	facts     deploy.Facts
	isFencing bool // target and balancer refuse stale epochs
	target    deploy.Driver
	masker    *secret.Masker
}

func (p *performer) haveSeen(f deploy.Facts) {
	can := p.drivers.Target.Can()
	if p.drivers.Balancer != nil {
		can = can.With(p.drivers.Balancer.Can())
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.seen = sight{facts: f, isFencing: can.Fencing, target: p.drivers.Target, masker: p.masker}
}

func (p *performer) lastSeen() sight {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.seen
}

func (p *performer) isAlone() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.alone != nil
}

// highest is the highest epoch that was heard of. The caller holds the mutex.
func (p *performer) highest() towpath.Epoch {
	highest, known := p.order.Environment.Epoch, []towpath.Epoch{p.observed, p.seen.facts.Observed.Epoch}
	if p.pending != nil {
		known = append(known, p.pending.Environment.Epoch)
	}
	for _, seen := range known {
		if seen.Number > highest.Number {
			highest = seen
		}
	}
	return highest
}

// postpone keeps an order of the server for when what was done without it is told. The caller holds the mutex.
func (p *performer) postpone(o client.KeeperOrder) (isNews bool) {
	given := o.Environment
	if last := p.pending; last != nil && (given.Epoch.Number < last.Environment.Epoch.Number ||
		given.Epoch == last.Environment.Epoch && given.Serial <= last.Environment.Serial) {
		return false
	}
	p.pending = &o
	return true
}

// goBack makes going back the goal, on the disk first, under an epoch of its own. What is under way already goes on,
// above whoever has taken over meanwhile.
func (p *performer) goBack(w Wish) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	at := time.Now().Add(p.ahead)
	if p.alone.isUnderWay() {
		return p.resume(at)
	}
	next, back, err := backwards(p.recorded(), p.serving(), p.highest(), w, at)
	if err != nil {
		return err
	}
	a := alone{Given: p.order.Environment}
	if p.alone != nil {
		a = *p.alone
	}
	a.Backs = append(slices.Clone(a.Backs), back)
	p.journal.write(entry{
		Event: eventAlone, Step: fmt.Sprintf("go back to release %d", back.To.Number), Epoch: next.Epoch,
		Detail: cmp.Or(back.By, "by itself") + ": " + back.Reason,
	})
	return p.become(next, &a)
}

// resume goes on with what is under way. The caller holds the mutex.
func (p *performer) resume(at time.Time) error {
	if !p.isStale {
		return nil
	}
	next, err := takenOver(p.order.Environment, p.highest(), rand.Text(), at)
	if err != nil {
		return err
	}
	p.journal.write(entry{Event: eventAlone, Step: "go on with it", Epoch: next.Epoch, Detail: "another keeper had taken over"})
	return p.become(next, p.alone)
}

// isOvertaken says that another keeper came between, and that the server has given the environment back since: what a
// person said on this machine still holds.
func (p *performer) isOvertaken() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.alone.isUnderWay() && p.isStale && p.pending != nil
}

// recorded is the environment that a wish is about: while the live release is only kept up, that is still the server's.
// The caller holds the mutex.
func (p *performer) recorded() towpath.Environment {
	e := p.order.Environment
	if p.alone != nil && len(p.alone.Backs) == 0 {
		e.Goal, e.Deployment = p.alone.Given.Goal, p.alone.Given.Deployment
	}
	return e
}

// serving is the release that takes most of the traffic; none where that is not known. The caller holds the mutex.
func (p *performer) serving() (most towpath.ReleaseRef) {
	weights := make(map[int]int)
	for _, i := range p.seen.facts.Observed.Instances {
		weights[i.Release] += i.Traffic.Weight
	}
	for _, r := range p.order.Releases {
		if weights[r.Number] > weights[most.Number] {
			most = r.Ref()
		}
	}
	return most
}

// become makes an environment the keeper's own record. The caller holds the mutex.
func (p *performer) become(e towpath.Environment, a *alone) error {
	order := p.order
	order.Environment = e
	if err := p.store.put(order, a); err != nil {
		return err
	}
	p.order, p.alone, p.isStale = order, a, false
	if p.cut != nil {
		p.cut(errNews)
	}
	p.wakeUp()
	return nil
}

// backwards answers the environment with going back as its goal, and what there will be to tell of it.
func backwards(e towpath.Environment, serving towpath.ReleaseRef, highest towpath.Epoch, w Wish, at time.Time) (towpath.Environment, towpath.WentBack, error) {
	back := towpath.WentBack{ID: rand.Text(), By: w.By, Reason: w.Reason, BeganAt: at}
	e, err := takenOver(e, highest, back.ID, at)
	if err != nil {
		return e, back, err
	}
	if isGoingBack(e) { // the server had said so
		back.ID, back.To = e.Deployment.ID, e.Goal
		if e.Deployment.State == towpath.DeploymentReturning {
			back.Turned = e.Deployment.ID
		}
		return e, back, nil
	}
	if isBehind(e, serving) {
		back.To = e.Live
		e.Deployment = &towpath.Deployment{
			ID: back.ID, Environment: e.Key, Release: e.Live, From: serving, Cause: towpath.CauseRollback, By: w.By,
			Reason: w.Reason, State: towpath.DeploymentRunning, RequestedAt: at, BeganAt: at,
		}
		return e, back, nil
	}
	var event towpath.EnvironmentEvent = towpath.RollbackRequested{ID: back.ID, By: w.By, Reason: w.Reason, At: at}
	if e.Deployment != nil {
		back.Turned = e.Deployment.ID
		if w.By == "" {
			event = towpath.GoalFailed{Epoch: e.Epoch, Deployment: back.Turned, Reason: w.Reason, At: at}
		}
		if e.Live.Number == 0 {
			return e, back, towpath.Errorf(towpath.CodeConflict, "nothing was live in %s before release %d", e.Key, e.Goal.Number)
		}
	}
	if err := e.Refuses(event); err != nil {
		return e, back, err
	}
	e, _ = e.Next(event)
	back.To = e.Goal
	return e, back, nil
}

// takenOver raises the epoch above all that were heard of. Nothing that waits for its turn comes while the server is away.
func takenOver(e towpath.Environment, highest towpath.Epoch, holder string, at time.Time) (towpath.Environment, error) {
	e.Queue = nil
	leased := towpath.KeeperLeased{
		Worker: cmp.Or(e.Keeper.Worker, e.Machine), Holder: holder, Observed: highest, Expires: e.Keeper.Expires, At: at,
	}
	if err := e.Refuses(leased); err != nil {
		return e, err
	}
	e, _ = e.Next(leased)
	return e, nil
}

// isBehind says that a release serves of which the record does not know: whoever kept the environment was killed before
// it wrote down that it had moved the traffic. What the record has as live was so before that.
func isBehind(e towpath.Environment, serving towpath.ReleaseRef) bool {
	return e.Deployment == nil && e.Live.Number > 0 && serving.Number > 0 && serving != e.Goal && serving != e.Previous()
}

// isGoingBack says that the goal is what was live before.
func isGoingBack(e towpath.Environment) bool {
	d := e.Deployment
	return d != nil && (d.State == towpath.DeploymentReturning || d.Cause == towpath.CauseRollback) && e.Goal.Number > 0
}

// record has what was done happen to the keeper's own record. What it is past changes nothing, as at the server.
func (p *performer) record(r client.KeeperReport) (isNews bool, err error) {
	event, err := r.Happened(p.serverNow())
	if err != nil || event == nil {
		return false, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	before := p.order.Environment
	if p.alone == nil || before.Refuses(event) != nil {
		return false, nil
	}
	next, effects := before.Next(event)
	order, a := p.order, p.alone.after(effects)
	order.Environment = next
	if len(effects) > 0 {
		if err := p.store.put(order, a); err != nil {
			return false, unheard{err}
		}
	}
	p.order, p.alone = order, a
	if len(effects) > 0 && len(a.Backs) > 0 && !a.isUnderWay() {
		p.tellAll(Progress{Ended: p.endOf(a.Backs[len(a.Backs)-1])})
	}
	return len(effects) > 0, nil
}

// isToReconcile says that what was done without the server has ended, and that the server can be told.
func (p *performer) isToReconcile() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.alone != nil && p.pending != nil && !p.alone.isUnderWay() &&
		p.pending.Environment.Epoch.Number > p.order.Environment.Epoch.Number
}

// reconcile tells the server what was done without it, one after the other; each is struck off before the next, so that
// none is recorded twice. Then the server's order counts again.
func (p *performer) reconcile(ctx context.Context) time.Duration {
	for {
		order, back, isLeft := p.nextToTell()
		if !isLeft {
			return p.settle(order)
		}
		answer, err := p.tellBack(ctx, order, back)
		if err != nil {
			p.unreconciled(ctx, err)
			return busyPace
		}
		p.logger.Info("the server knows what was done without it", "release", back.To.Number, "how", back.State)
		if err := p.strikeOff(answer); err != nil {
			p.logger.Warn("order not written", "error", err)
			return busyPace
		}
	}
}

func (p *performer) nextToTell() (order client.KeeperOrder, back towpath.WentBack, isLeft bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.alone.Backs) > 0 {
		back, isLeft = p.alone.Backs[0], true
	}
	return *p.pending, back, isLeft
}

func (p *performer) tellBack(ctx context.Context, order client.KeeperOrder, back towpath.WentBack) (client.KeeperOrder, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	report := client.KeeperReport{Epoch: order.Environment.Epoch, Event: "went-back", Back: &back}
	if seen := p.lastSeen().facts.Observed; !seen.At.IsZero() {
		report.Observation = &seen
	}
	return p.keeper.options.Client.ReportKept(ctx, p.key, report)
}

// unreconciled has the server asked again. Where it has given out another epoch since, that has to come first.
func (p *performer) unreconciled(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	var answered *client.Error
	if errors.As(err, &answered) && answered.Code == string(towpath.CodeStale) {
		p.mutex.Lock()
		p.pending = nil
		p.mutex.Unlock()
	} else {
		p.keeper.link.lost()
	}
	p.logger.Warn("the server was not told what was done without it", "error", err)
	p.keeper.kick()
}

func (p *performer) strikeOff(answer client.KeeperOrder) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	a := &alone{Given: p.alone.Given, Backs: slices.Clone(p.alone.Backs[1:])}
	if err := p.store.put(p.order, a); err != nil {
		return err
	}
	p.alone, p.pending = a, &answer
	return nil
}

// settle has the server's order count again.
func (p *performer) settle(o client.KeeperOrder) time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if err := p.store.put(o, nil); err != nil {
		p.logger.Warn("order not written", "error", err)
		return busyPace
	}
	p.take(o)
	p.isStale = o.Environment.Epoch.Before(p.observed)
	p.alone, p.pending, p.reported = nil, nil, ""
	return 0
}
