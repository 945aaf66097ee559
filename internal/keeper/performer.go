package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/secret"
)

const (
	// busyPace is how often an environment is observed while a deployment is under way.
	busyPace = 2 * time.Second
	// watchPace is how often it is observed while a new release is watched.
	watchPace = time.Second
	// ailingPace is how often it is observed while something is wrong with an instance.
	ailingPace = time.Second
	// idlePace is how often it is observed otherwise.
	idlePace = 5 * time.Second
	// leaveGrace is how long the operation in hand may take when the keeper ends.
	leaveGrace = 15 * time.Second
)

// The causes for which an operation is cut.
var (
	errNews    = errors.New("something else is to be done now")
	errLeaving = errors.New("the keeper ends")
)

// performer keeps one environment. One goroutine goes round; orders come from it and from the manager.
type performer struct {
	keeper  *Keeper
	key     string
	logger  *slog.Logger
	store   *orderStore
	journal *journal
	cancel  context.CancelFunc
	done    chan struct{}
	woken   chan struct{} // one slot

	mutex    sync.Mutex
	order    client.KeeperOrder
	ahead    time.Duration           // of the server's clock before ours
	observed towpath.Epoch           // highest that targets have seen
	isStale  bool                    // a target or the server refused our epoch: another order has to come first
	cut      context.CancelCauseFunc // of the look or the operation in hand, where a new goal ends it; else nil
	reported report                  // what the server was told last
	seen     sight                   // what was seen last
	alone    *alone                  // nil where the server orders
	pending  *client.KeeperOrder     // of the server, which has yet to hear what was done without it
	watchers map[chan Progress]bool  // people who look on
	untold   []towpath.JournalEntry  // what was done, of which the server has yet to hear

	errands errands // commands of people

	isRestored bool // the order is from the disk, and no server has confirmed it

	// Of the goroutine that goes round.
	site      Site
	drivers   Drivers
	tries     tries
	shares    shares
	masker    *secret.Masker
	witnesses *witnesses // nil while no release is watched
	known     *table     // nil where the balancer has to be asked
}

// newPerformer takes up an order of the server. What an earlier keeper did without the server is brought to its end, and
// told, before the order counts.
func newPerformer(k *Keeper, o client.KeeperOrder) *performer {
	p := k.performerOf(o)
	stored, a, err := p.store.load()
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		p.logger.Warn("the last order is not known any more", "error", err)
	case a != nil:
		p.pending = &o
		p.order, p.alone, p.ahead = stored, a, time.Until(stored.Now)
		return p
	}
	p.store.setAhead(p.ahead)
	return p
}

func (k *Keeper) performerOf(o client.KeeperOrder) *performer {
	p := &performer{
		keeper: k, key: o.Environment.Key, masker: secret.NewMasker(), logger: k.options.Logger.With("environment", o.Environment.Key),
		done: make(chan struct{}), woken: make(chan struct{}, 1), watchers: make(map[chan Progress]bool),
		order: o, ahead: time.Until(o.Now),
	}
	folder := k.folderOf(p.key)
	p.store = &orderStore{folder: folder, keys: k.keys}
	p.journal = &journal{folder: folder}
	p.shares = shares{folder: folder}
	return p
}

// begin goes round until ctx ends.
func (p *performer) begin(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.errands.life = ctx
	go func() {
		defer close(p.done)
		defer p.close()
		for ctx.Err() == nil {
			if wait := p.round(ctx); wait > 0 {
				p.sleep(ctx, wait)
			}
		}
	}()
}

// end waits for the operation in hand, and for the ends of people's commands.
func (p *performer) end() {
	p.cancel()
	<-p.done
	p.errands.running.Wait()
}

func (p *performer) close() {
	p.flush()
	p.dismiss()
	p.closeDrivers()
	if err := p.journal.close(); err != nil {
		p.logger.Warn("journal not closed", "error", err)
	}
}

// sleep waits for news, at most so long.
func (p *performer) sleep(ctx context.Context, atMost time.Duration) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.woken:
	}
}

func (p *performer) wakeUp() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// round observes, plans and performs up to the next barrier. It answers how long nothing is to be done.
func (p *performer) round(ctx context.Context) time.Duration {
	if p.isToReconcile() {
		return p.reconcile(ctx)
	}
	order, err := p.mayAct()
	if err != nil {
		return p.standAlone(ctx, order)
	}
	hasTime := true
	defer func() {
		if hasTime {
			p.flush()
		}
	}()
	facts, plan, err := p.facts(ctx, order)
	if isCut(err) {
		return 0
	}
	if err != nil {
		return p.fail(ctx, facts, deploy.Step{Operation: observation{}}, err)
	}
	if order.Environment.Epoch.Before(facts.Observed.Epoch) {
		p.refused(facts.Observed.Epoch)
		return busyPace
	}
	if isAnother(p.current().Environment, facts.Environment) {
		return 0
	}
	if p.isAlone() {
		plan = plan.Alone(facts)
	}
	steps := plan.UpToBarrier()
	_, isShift := first(steps).(deploy.Shift)
	hasTime = !isShift // the drain that follows has it
	if !isUrgent(first(steps)) || isShift && hasTrafficAgain(order.Environment, facts.Observed) {
		if isNews, err := p.tell(ctx, facts, plan); isNews || err != nil {
			return p.afterTelling(err)
		}
	}
	for _, step := range steps {
		if wait, goOn := p.perform(ctx, facts, step); !goOn {
			return wait
		}
	}
	if len(steps) == 0 {
		return p.pace(facts)
	}
	return 0
}

// isUrgent says that an operation comes before telling of what was seen. A shift is told of by the next round, a drain
// while it waits.
func isUrgent(o deploy.Operation) bool {
	switch o.(type) {
	case deploy.Shift, deploy.Drain:
		return true
	}
	return false
}

// hasTrafficAgain says that an instance which is recorded as being without traffic has some. That is recorded before it
// loses it: its drain would count from when it had none before.
func hasTrafficAgain(e towpath.Environment, seen towpath.Observation) bool {
	return slices.ContainsFunc(seen.Instances, func(i towpath.Instance) bool {
		_, recorded := e.Idle[i.ID]
		return recorded && (!i.Traffic.Known || i.Traffic.Weight > 0)
	})
}

// flush writes the order once there is time, which is not while a newer one waits. What needs it on disk has seen it
// there before (look).
func (p *performer) flush() {
	if err := p.store.flush(p.current().Environment); err != nil {
		p.logger.Warn("order not written", "error", err)
	}
}

func first(steps []deploy.Step) deploy.Operation {
	if len(steps) == 0 {
		return nil
	}
	return steps[0].Operation
}

// afterTelling goes round again with what the server answered.
func (p *performer) afterTelling(err error) time.Duration {
	if err != nil {
		return busyPace
	}
	return 0
}

func (p *performer) pace(f deploy.Facts) time.Duration {
	isAiling := func(i towpath.Instance) bool { return i.Problem != "" }
	switch {
	case slices.ContainsFunc(f.Observed.Instances, isAiling):
		return ailingPace
	case f.Environment.Deployment != nil:
		return busyPace
	}
	return idlePace
}

// mayAct answers the order, unless something has to come from the server first.
func (p *performer) mayAct() (client.KeeperOrder, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.isStale {
		return p.order, errAlone
	}
	if p.alone != nil {
		return p.order, nil
	}
	return p.order, p.keeper.link.mayBegin()
}

func (p *performer) current() client.KeeperOrder {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.order
}

// keeping says what the server need not tell again.
func (p *performer) keeping() client.Keeping {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	keeping := client.Keeping{
		Environment: p.key, Serial: p.order.Environment.Serial, Observed: p.observed, Errands: p.errands.inHand(),
	}
	// A server that was restored from a backup may not know the epoch that it gave us.
	if own := p.order.Environment.Epoch; own.Number > keeping.Observed.Number {
		keeping.Observed = own
	}
	if p.alone != nil {
		keeping.Observed, keeping.Serial = p.highest(), unknownSerial
		if p.pending != nil {
			keeping.Serial = p.pending.Environment.Serial
		}
	}
	if p.isStale {
		keeping.Serial = unknownSerial
	}
	return keeping
}

// accept takes an order unless a newer one is there, and says whether it is another. An answer to a report of ours is
// taken also where nothing was counted up: it holds what we have reported. A new goal cuts what waits for the old one.
func (p *performer) accept(o client.KeeperOrder, isAnswer bool) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.alone != nil {
		return p.postpone(o)
	}
	known, given := p.order.Environment, o.Environment
	isOlder := given.Epoch.Number < known.Epoch.Number ||
		given.Epoch.Number == known.Epoch.Number && given.Serial < known.Serial
	isSame := given.Epoch == known.Epoch && given.Serial == known.Serial
	wasStale := p.isStale
	if isOlder || isSame && !isAnswer && !wasStale {
		return false
	}
	p.take(o)
	p.isStale = given.Epoch.Before(p.observed)
	if isAnother(known, given) && p.cut != nil {
		p.cut(errNews)
	}
	return !isSame || wasStale
}

// take makes an order of the server the one that counts. The caller holds the mutex.
func (p *performer) take(o client.KeeperOrder) {
	p.order, p.ahead, p.isRestored = o, time.Until(o.Now), false
	p.store.setAhead(p.ahead)
}

// isAnother says that what is under way has to be planned again at once.
func isAnother(a, b towpath.Environment) bool {
	return a.Goal != b.Goal || a.Epoch != b.Epoch || underWay(a) != underWay(b)
}

// underWay is the deployment as far as operations depend on it.
func underWay(e towpath.Environment) [2]string {
	if e.Deployment == nil {
		return [2]string{}
	}
	return [2]string{e.Deployment.ID, string(e.Deployment.State)}
}

// refused notes that another keeper's epoch holds, and asks the server for one above it.
func (p *performer) refused(seen towpath.Epoch) {
	p.mutex.Lock()
	p.isStale = true
	if p.observed.Number < seen.Number || p.observed.Number == seen.Number && seen.Holder != "" {
		p.observed = seen
	}
	p.pending = nil
	p.mutex.Unlock()
	p.tellWatchers(Progress{Problem: fmt.Sprintf("another keeper has taken over %s (epoch %s)", p.key, seen)})
	p.logger.Warn("another keeper has taken over, as targets have seen", "seen", seen.String())
	p.keeper.kick()
}
