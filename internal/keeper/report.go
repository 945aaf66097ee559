package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

const (
	// reportLimit is how long the server may take to note a report.
	reportLimit = 10 * time.Second
	// quiet is how long an operation may take before the server is told that it is under way.
	quiet = 150 * time.Millisecond
)

// unheard is a report that the server did not take. What was done may be told again.
type unheard struct{ error }

func (u unheard) Unwrap() error { return u.error }

// report is what the server was told last, as far as a change of it is worth telling.
type report string

// reportOf leaves out what changes from request to request.
func reportOf(seen towpath.Observation, doing string) report {
	seen.At, seen.Served, seen.Findings = time.Time{}, nil, nil
	seen.Instances = slices.Clone(seen.Instances)
	for n := range seen.Instances {
		seen.Instances[n].Traffic.Requests, seen.Instances[n].Traffic.Streams = 0, 0
		seen.Instances[n].Since = time.Time{}
		seen.Instances[n].Processes = slices.Clone(seen.Instances[n].Processes)
		for k := range seen.Instances[n].Processes {
			seen.Instances[n].Processes[k].Since = time.Time{}
		}
	}
	seen.Singles = slices.Clone(seen.Singles)
	for n := range seen.Singles {
		seen.Singles[n].Since = time.Time{}
	}
	content, err := json.Marshal([]any{seen, doing})
	if err != nil {
		return "" // as if nothing had been told: it is told
	}
	return report(content)
}

// tell reports what was seen, if that is another than before, and says whether the answer is another order.
func (p *performer) tell(ctx context.Context, f deploy.Facts, plan deploy.Plan) (isNews bool, err error) {
	doing := plan.Note
	if len(plan.Steps) > 0 && deploy.PerformerOf(plan.Steps[0].Operation) == deploy.ByNobody {
		doing = words(plan.Steps[0])
	}
	return p.tellSeen(ctx, f, doing)
}

func (p *performer) tellSeen(ctx context.Context, f deploy.Facts, doing string) (isNews bool, err error) {
	seen, recorded := f.TrafficSeen(), p.current().Environment
	event := ""
	if isTrafficNews(recorded, seen) {
		event = "idle"
	}
	if event == "" && !p.isToTell(reportOf(f.Observed, doing), false) {
		return false, nil
	}
	return p.report(ctx, f, client.KeeperReport{Event: event, Idle: seen.Idle, Taking: seen.Taking, LastInstance: seen.LastInstance, Doing: doing})
}

// isToTell says that the server was told another thing last. It is taken as told, where it is.
func (p *performer) isToTell(r report, isTold bool) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	isToTell := p.reported != r
	if isTold {
		p.reported = r
	}
	return isToTell
}

// isTrafficNews says that instances are without traffic now that were not, that there are new ones, that the time of a release begins
// that is watched, or that a time begins anew, as its clock was set back.
func isTrafficNews(e towpath.Environment, seen towpath.TrafficObserved) bool {
	told, _ := e.Next(seen)
	if was, is := e.Deployment, told.Deployment; is != nil && (!is.TrafficAt.Equal(was.TrafficAt) || !is.StepAt.Equal(was.StepAt)) {
		return true
	}
	return told.LastInstance > e.LastInstance || !maps.EqualFunc(told.Idle, e.Idle, time.Time.Equal)
}

// send reports an event of the deployment under way.
func (p *performer) send(ctx context.Context, f deploy.Facts, event, reason string) (isNews bool, err error) {
	r := client.KeeperReport{Event: event, Reason: reason}
	if d := f.Environment.Deployment; d != nil {
		r.Deployment, r.Returning = d.ID, d.IsReturning()
	}
	return p.report(ctx, f, r)
}

// report tells the server, and takes its answer as the order. Without the server the record is the keeper's own. The
// error is unheard.
func (p *performer) report(ctx context.Context, f deploy.Facts, r client.KeeperReport) (isNews bool, err error) {
	r.Epoch, r.Reason, r.Doing = f.Environment.Epoch, p.mask(r.Reason), p.mask(r.Doing)
	if p.isAlone() {
		return p.record(r)
	}
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	if !f.Observed.At.IsZero() {
		r.Observation = &f.Observed
	}
	r.Journal = p.tellable()
	place := failpoint.At("report to the server")
	place.Before()
	order, err := p.keeper.options.Client.ReportKept(ctx, p.key, r)
	place.After()
	if err != nil {
		return false, p.silence(ctx, err)
	}
	p.heard(r)
	p.isToTell(reportOf(f.Observed, r.Doing), true)
	return p.accept(order, true), nil
}

// silence notes why the server did not take a report.
func (p *performer) silence(ctx context.Context, err error) error {
	var answered *client.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
	case errors.As(err, &answered) && answered.Code == string(towpath.CodeStale):
		p.refused(towpath.Epoch{})
	default:
		p.logger.Warn("report not taken", "error", err)
		p.keeper.link.lost()
		p.keeper.kick()
	}
	return unheard{err}
}

// announce tells the server what is under way, once that has taken a moment. During a drain it tells at once what was
// seen before, because the clocks of the old side run from there, and the order has time for the disk. It has ended when
// silence returns. What it could not tell, the next round tells.
func (p *performer) announce(ctx context.Context, f deploy.Facts, step deploy.Step) (silence func()) {
	waiting, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, is := step.Operation.(deploy.Drain); is {
			_, _ = p.tellSeen(ctx, f, "")
			p.flush()
		}
		if pause(waiting, quiet) {
			_, _ = p.report(waiting, f, client.KeeperReport{Doing: words(step)})
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// words are a step for people.
func words(s deploy.Step) string {
	if s.Reason == "" {
		return s.Operation.String()
	}
	return s.Operation.String() + ": " + s.Reason
}
