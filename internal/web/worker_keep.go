package web

import (
	"net/http"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// keepWait is how long a keeper's call waits for something new; well within a lease.
const keepWait = 4 * time.Second

// kept is the path of every call about an environment that a worker keeps.
const kept = "/api/v1/worker/environments/{pipeline}/{environment}/"

func (s *Server) registerKeepers() {
	api(s, "POST /api/v1/worker/keep", s.keep)
	api(s, "POST "+kept+"report", s.reportKept)
	api(s, "POST "+kept+"errands/{id}/begin", s.beginErrand)
	api(s, "POST "+kept+"errands/{id}/end", s.endErrand)
	s.handle("GET "+kept+"errands/{id}", s.serveErrand)
}

// keep gives a worker its environments, and takes back those that it leaves.
func (s *Server) keep(c call[client.KeepRequest]) (client.KeepAnswer, error) {
	worker := s.seeWorker(c.Caller)
	if len(c.Body.Leaving) > 0 {
		return client.KeepAnswer{}, s.Flow.Leave(c.Context(), worker.ID, c.Body.Leaving)
	}
	known := make([]flow.Kept, len(c.Body.Kept))
	for i, k := range c.Body.Kept {
		known[i] = flow.Kept{Environment: k.Environment, Serial: k.Serial, Observed: k.Observed, Errands: k.Errands}
	}
	ctx, cancel := s.live(c.Request)
	defer cancel()
	keeping, err := s.Flow.Keep(ctx, worker.Worker, c.Body.Holder, known, keepWait)
	if err = ignoreStop(s, err); err != nil {
		return client.KeepAnswer{}, err
	}
	answer := client.KeepAnswer{Lost: keeping.Lost, Expires: keeping.Expires, Now: s.Clock()}
	for _, o := range keeping.Orders {
		answer.Orders = append(answer.Orders, s.orderOf(o))
	}
	for _, e := range keeping.Errands {
		answer.Errands = append(answer.Errands, client.ErrandCall{Environment: e.Environment, ID: e.ID})
	}
	return answer, nil
}

func (s *Server) orderOf(o flow.Order) client.KeeperOrder {
	return client.KeeperOrder{Environment: o.Environment, Releases: o.Releases, Secrets: o.Secrets, Now: s.Clock()}
}

// reportKept takes what a keeper saw and what it did, and answers the order as it now is.
func (s *Server) reportKept(c call[client.KeeperReport]) (client.KeeperOrder, error) {
	if _, err := c.Body.Happened(s.Clock()); err != nil {
		return client.KeeperOrder{}, err
	}
	report := flow.Report{Epoch: c.Body.Epoch, Observed: c.Body.Observation, Doing: c.Body.Doing, Journal: c.Body.Journal}
	if c.Body.Event != "" {
		report.Event = func(at time.Time) towpath.EnvironmentEvent {
			event, _ := c.Body.Happened(at) // it was asked before
			return event
		}
	}
	if err := s.mayReport(c.Request, c.Caller); err != nil {
		return client.KeeperOrder{}, err
	}
	order, err := s.Flow.Reported(c.Context(), keyIn(c.Request), report)
	return s.orderOf(order), err
}

// mayReport refuses a worker whose environment another keeps. Where nobody does, the last keeper may still report: the
// epoch tells whether it is that one.
func (s *Server) mayReport(r *http.Request, caller access.Caller) error {
	var e towpath.Environment
	err := s.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		e, _, err = tx.Environment(keyIn(r))
		return err
	})
	if err != nil || e.Keeper.Worker == "" && e.Policy.AdmitsWorker(caller.KnownWorker().Name) {
		return err
	}
	return s.keeps(r, caller, e)
}
