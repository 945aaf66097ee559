package simulate

import (
	"errors"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

var (
	errNotOurs = errors.New("it is not to be run now")
	errBroke   = errors.New("exit 1")
)

// beginHook runs a hook once the server has noted that it begins, unless something else is to be done by then.
func (p *performer) beginHook(f deploy.Facts, h towpath.Hook, done func(error)) {
	epoch, id := f.Environment.Epoch, f.Environment.Deployment.ID
	p.conclude(f, "a hook begins", func(at time.Time) towpath.EnvironmentEvent {
		return towpath.HookBegan{Epoch: epoch, Deployment: id, Hook: h, At: at}
	}, func(err error) {
		now := p.order.Environment
		isOurs := now.Epoch == epoch && now.Deployment != nil && now.Deployment.ID == id
		if isOurs {
			receipt, _ := now.Deployment.Receipt(h)
			isOurs = receipt.State == towpath.HookBegun
		}
		switch {
		case err != nil:
			done(err)
		case !isOurs:
			done(unheardError{errNotOurs})
		default:
			p.runHook(f, h, done)
		}
	})
}

// runHook has a script run for a while. Whoever dies meanwhile does not know how it ended.
func (p *performer) runHook(f deploy.Facts, h towpath.Hook, done func(error)) {
	w, d := p.keeper.world, *f.Environment.Deployment
	w.say(p.keeper.name, "%s: runs the hook %s of %s", p.key(), h, d.ID)
	w.judge.hooked(p.key(), d, h)
	problem := ""
	if w.fault(w.drawn.faults.stepFails) {
		problem = errBroke.Error()
	}
	if p.trouble() {
		return
	}
	p.next(w.dice.between(10*time.Millisecond, 3*time.Second), func() {
		p.conclude(f, "a hook has ended", func(at time.Time) towpath.EnvironmentEvent {
			return towpath.HookEnded{Epoch: f.Environment.Epoch, Deployment: d.ID, Hook: h, Problem: problem, At: at}
		}, func(err error) {
			if err == nil && problem != "" && h != towpath.HookFailed {
				err = &deploy.Permanent{Err: errBroke}
			}
			done(err)
		})
	})
}
