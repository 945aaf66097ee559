package web

import (
	"errors"
	"net/http"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// judged makes of "no longer leased to this worker" what it is: a lease that is over, or one that the worker never had.
func (s *Server) judged(r *http.Request, caller access.Caller, l towpath.Lease, err error) error {
	if towpath.CodeOf(err) != towpath.CodeStale {
		return err
	}
	if never := s.everHeld(r, caller, l); towpath.CodeOf(never) == towpath.CodeForbidden {
		return never
	}
	return err
}

// everHeld refuses a worker that was never leased an attempt. That is recorded, as one that keeps to its leases never asks.
// What became of a lease that it had is not told here.
func (s *Server) everHeld(r *http.Request, caller access.Caller, l towpath.Lease) error {
	var worker string
	err := s.Store.View(r.Context(), func(tx *store.Tx) error {
		run, _, err := tx.Run(l.Run)
		if step, _ := run.Step(l.Step); err == nil && l.Attempt <= step.Attempt() {
			worker = step.Attempts[l.Attempt-1].Worker
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return towpath.Errorf(towpath.CodeStale, "the run is not known any more")
	case err != nil || worker == caller.Worker:
		return err
	}
	return s.refuseWorker(r, caller, towpath.Errorf(towpath.CodeForbidden, "attempt %d of %q was never leased to this worker", l.Attempt, l.Step))
}

// keeps refuses a worker that does not keep an environment, or may not any more. It may have been its keeper until now.
func (s *Server) keeps(r *http.Request, caller access.Caller, e towpath.Environment) error {
	if name := caller.KnownWorker().Name; !e.Policy.AdmitsWorker(name) {
		return s.refuseWorker(r, caller, towpath.Errorf(towpath.CodeStale, "the policy of %s does not allow worker %s to keep it", e.Key, name))
	}
	if e.Keeper.Worker == caller.Worker {
		return nil
	}
	return s.refuseWorker(r, caller, towpath.Errorf(towpath.CodeStale, "%s is kept by another worker", e.Key))
}

// refuseWorker records a refusal, and answers it.
func (s *Server) refuseWorker(r *http.Request, caller access.Caller, why *towpath.Error) error {
	if err := s.Guard.RefusedWorker(r.Context(), caller.Identity, r.Method+" "+r.URL.Path, why.Message); err != nil {
		return errors.Join(why, err)
	}
	return why
}
