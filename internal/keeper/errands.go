package keeper

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

const (
	// errandAlone is how long a command goes on without its person.
	errandAlone = time.Minute
	// errandPause is how long a command that could not be taken is left alone.
	errandPause = time.Second
	// errandSaid is how long the last words of a command may take to reach the server.
	errandSaid = 90 * time.Second
	// errandTold is how long it is tried to tell the server how a command ended.
	errandTold = 10 * time.Minute
)

// errands are the commands of people that run in one environment, beside what is done there.
type errands struct {
	life    context.Context // of the performer
	running sync.WaitGroup

	mutex sync.Mutex
	taken map[string]string // by errand's ID: the instance in whose files it runs; empty where it does not run
	by    map[string]string // by errand's ID: whose it is
}

// inHand are the IDs of all.
func (e *errands) inHand() (ids []string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for id := range e.taken {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// mark says of instances that commands run in their files, which stay as long.
func (e *errands) mark(instances []towpath.Instance) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for id, instance := range e.taken {
		for n := range instances {
			if instances[n].ID == instance {
				instances[n].InUse = "a command of " + e.by[id] + " runs in it"
			}
		}
	}
}

// add says whether the command is new.
func (e *errands) add(id string) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if _, is := e.taken[id]; is {
		return false
	}
	if e.taken == nil {
		e.taken, e.by = make(map[string]string), make(map[string]string)
	}
	e.taken[id] = ""
	return true
}

func (e *errands) runsIn(id, instance, by string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.taken[id], e.by[id] = instance, by
}

func (e *errands) drop(id string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	delete(e.taken, id)
	delete(e.by, id)
}

// takeErrand runs a command that waits, unless it is in hand already.
func (p *performer) takeErrand(call client.ErrandCall) {
	if !p.errands.add(call.ID) {
		return
	}
	p.errands.running.Go(func() {
		defer p.errands.drop(call.ID)
		ctx, epoch := p.errands.life, p.current().Environment.Epoch
		order, err := p.keeper.options.Client.BeginErrand(ctx, call, client.ErrandBegin{Epoch: epoch})
		if err != nil {
			p.logger.Warn("a command cannot be begun", "command", call.ID, "error", err)
			pause(ctx, errandPause)
			return
		}
		p.logger.Info("command begun", "command", call.ID, "by", order.By, "instance", order.Instance)
		p.errands.runsIn(call.ID, order.Instance, order.By)
		end := p.runErrand(ctx, call, order, epoch)
		p.errands.runsIn(call.ID, "", "")
		p.logger.Info("command ended", "command", call.ID, "how", end.Outcome)
		p.tellErrand(ctx, call, end)
	})
}

// tellErrand tells the server how a command ended, until it has heard or does not want to know.
func (p *performer) tellErrand(ctx context.Context, call client.ErrandCall, end client.ErrandEnd) {
	telling, cancel := context.WithTimeout(context.WithoutCancel(ctx), errandTold)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveLimit, cancel) })()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := p.keeper.options.Client.EndErrand(telling, call, end)
		var answered *client.Error
		if err == nil || errors.As(err, &answered) && answered.Code != string(towpath.CodeUnavailable) && answered.Code != string(towpath.CodeInternal) {
			return
		}
		if !pause(telling, wait) {
			p.logger.Warn("nobody was told how a command ended", "command", call.ID, "error", err)
			return
		}
	}
}

// runErrand runs a command once its person is there, with them at its streams, and says how it ended.
func (p *performer) runErrand(ctx context.Context, call client.ErrandCall, order client.ErrandOrder, epoch towpath.Epoch) client.ErrandEnd {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	e := newErrand(p, call, order, stop)
	talking, hush := context.WithCancel(context.WithoutCancel(ctx))
	defer hush()
	said := make(chan struct{})
	go func() { defer close(said); e.talk(talking) }()
	ended, err := e.run(ctx, epoch)
	end := client.ErrandEnd{Epoch: epoch, ExitCode: ended.ExitCode, Outcome: e.outcome(ctx, ended, err)}
	if err != nil {
		end.ExitCode = -1
	}
	e.ended <- client.ShellEnd{ExitCode: end.ExitCode, Reason: end.Outcome, Output: e.output.sent, Errors: e.errors.sent}
	timer := time.NewTimer(errandSaid)
	defer timer.Stop()
	select {
	case <-said:
	case <-e.muted: // its person is gone
	case <-timer.C:
	case <-p.keeperLeft(ctx):
	}
	return end
}

// keeperLeft is closed a while after the keeper ended.
func (p *performer) keeperLeft(ctx context.Context) <-chan struct{} {
	left := make(chan struct{})
	context.AfterFunc(p.errands.life, func() { time.AfterFunc(leaveLimit, func() { close(left) }) })
	return left
}

// sighted waits for a first look at the environment, which a keeper that has just begun has not had.
func (p *performer) sighted(ctx context.Context) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, sightLimit)
	defer cancel()
	for {
		if seen := p.lastSeen(); seen.target != nil {
			return seen, nil
		}
		if !pause(ctx, sightPace) {
			return sight{}, &deploy.Retryable{Err: errors.New("its keeper has not seen the environment yet")}
		}
	}
}

// alonePatience is how long a command goes on without its person.
func (k *Keeper) alonePatience() time.Duration { return cmp.Or(k.options.Alone, errandAlone) }
