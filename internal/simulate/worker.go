package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// leaseWait is how long the server keeps a worker waiting for a step, and renewEvery how often a worker renews.
const (
	leaseWait  = 20 * time.Second
	renewEvery = 4 * time.Second
)

// worker runs steps. It forgets what it did when it dies.
type worker struct {
	*process
	world *world
	who   towpath.Worker
	calls int // that it has made
}

func (r *worker) begin() {
	r.start()
	r.world.say(r.name, "starts")
	r.lease()
}

// fall is the worker's death; it comes back.
func (r *worker) fall() {
	r.world.say(r.name, "dies")
	r.die()
	r.world.after(r.world.dice.between(time.Second, 20*time.Second), nil, "", r.begin)
}

// lease asks for the next step.
func (r *worker) lease() {
	r.calls++
	r.ask(flow.StepCall{Worker: r.who, ID: fmt.Sprintf("%s/%d", r.name, r.calls)})
}

// ask makes a call for a step, and the same again where it was not answered.
func (r *worker) ask(wish flow.StepCall) {
	s := r.world.server
	r.world.send(call{
		from: r.process, what: "asks for a step", topic: flow.TopicQueue, atMost: leaseWait,
		serve: func(ctx context.Context) (any, error) { return s.lease(ctx, r, wish) },
		isHeld: func(said any) bool {
			work, _ := said.(*flow.Work)
			return work == nil
		},
		park:  func() flow.Parked { return s.rounds.Park(wish) },
		given: func(work *flow.Work) { s.handedOut(r, wish, work) },
		done: func(said any, err error) {
			work, _ := said.(*flow.Work)
			pause := r.world.dice.between
			switch {
			case err != nil:
				r.world.after(pause(200*time.Millisecond, 2*time.Second), r.process, "", func() { r.ask(wish) })
				return
			case work == nil:
				r.world.after(pause(200*time.Millisecond, 2*time.Second), r.process, "", r.lease)
				return
			}
			r.run(&attempt{worker: r, lease: work.Lease, work: work})
		},
	})
}

func (s *server) lease(ctx context.Context, r *worker, wish flow.StepCall) (*flow.Work, error) {
	work, err := s.rounds.LeaseNow(ctx, wish)
	if err == nil && work != nil {
		s.handedOut(r, wish, work)
	}
	return work, err
}

func (s *server) handedOut(r *worker, wish flow.StepCall, work *flow.Work) {
	s.say("leases %s to %s", attemptName(work.Lease), r.name)
	s.world.judge.leased(r, wish, work)
}

func attemptName(l towpath.Lease) string { return fmt.Sprintf("%s/%s/%d", l.Run, l.Step, l.Attempt) }

// attempt is a step that a worker runs.
type attempt struct {
	worker *worker
	lease  towpath.Lease
	work   *flow.Work
	over   bool
	report towpath.StepReported
}

// run runs a step: it takes a while, and ends in one way or another.
func (r *worker) run(a *attempt) {
	w, f := r.world, r.world.drawn.faults
	w.say(r.name, "runs %s", attemptName(a.lease))
	lasts := w.dice.between(100*time.Millisecond, 3*time.Second)
	if w.fault(0.1) {
		lasts = w.dice.between(5*time.Second, 18*time.Second)
	}
	a.renew()
	if w.fault(f.workerDies) {
		w.after(w.dice.between(0, lasts), r.process, "", r.fall)
	}
	a.report = towpath.StepReported{State: towpath.AttemptPassed, Reason: "exit 0"}
	if w.fault(f.stepFails) {
		a.report = towpath.StepReported{State: towpath.AttemptFailed, Reason: "exit 1", ExitCode: 1}
	}
	if a.work.Step.Kind == towpath.KindBuild && a.report.State == towpath.AttemptPassed {
		digest := fmt.Sprintf("sha256:%s-%d-%d", a.lease.Run, a.lease.Attempt, w.dice.IntN(1000))
		a.report.Artifacts = []towpath.Artifact{{Step: a.lease.Step, Digest: digest, Path: "dist/", Platform: "linux/amd64", Files: 1, Size: 1}}
	}
	w.judge.ran(a)
	w.after(lasts, r.process, "", a.end)
}

// renew keeps the lease, as long as the step runs.
func (a *attempt) renew() {
	r, s := a.worker, a.worker.world.server
	r.world.after(renewEvery, r.process, "", func() {
		if a.over {
			return
		}
		a.renew()
		r.world.send(call{
			from: r.process, what: "renews " + attemptName(a.lease),
			serve: func(ctx context.Context) (any, error) {
				_, stop, err := s.conductor.RenewStep(ctx, a.lease)
				return stop, err
			},
			done: func(said any, err error) {
				stop, _ := said.(string)
				switch {
				case a.over:
				case refused(err):
					a.leave("its lease is another's")
				case stop != "":
					a.report = towpath.StepReported{State: towpath.AttemptCanceled, Reason: stop}
					a.end()
				}
			},
		})
	})
}

func (a *attempt) leave(why string) {
	r := a.worker
	r.world.say(r.name, "leaves %s: %s", attemptName(a.lease), why)
	a.over = true
	r.lease()
}

// end reports, until the server has heard.
func (a *attempt) end() {
	if a.over {
		return
	}
	a.over = true
	a.tell()
}

func (a *attempt) tell() {
	r, s := a.worker, a.worker.world.server
	r.world.send(call{
		from: r.process, what: fmt.Sprintf("reports %s %s", attemptName(a.lease), a.report.State),
		serve: func(ctx context.Context) (any, error) { return nil, s.report(ctx, a) },
		done: func(_ any, err error) {
			if err != nil && !refused(err) {
				r.world.after(time.Second, r.process, "", a.tell)
				return
			}
			r.lease()
		},
	})
}

func (s *server) report(ctx context.Context, a *attempt) error {
	err := s.conductor.ReportStep(ctx, a.lease, a.report, store.Log{Lines: 1, Size: 4})
	if err == nil {
		s.world.judge.acknowledge(fact{
			kind: aReport, subject: a.lease.Run, part: a.lease.Step, number: a.lease.Attempt, said: string(a.report.State),
		})
	}
	return err
}
