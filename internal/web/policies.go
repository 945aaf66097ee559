package web

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// policy answers what the server allows of an environment, whether it is there yet or not.
func (s *Server) policy(c call[none]) (answer client.Policy, err error) {
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		p, err := tx.Policy(keyIn(c.Request))
		if err != nil {
			return err
		}
		answer, err = policyAt(tx, p, c.PathValue("environment"))
		return err
	})
	return answer, err
}

func (s *Server) changePolicy(c call[client.PolicyChange]) (answer client.Policy, err error) {
	b := c.Body
	change := towpath.PolicyChange{
		Protected: b.Protected, Refs: b.Refs, Workers: b.Workers, Secrets: b.Secrets, Addresses: b.Addresses, Lift: b.Lift,
	}
	key := keyIn(c.Request)
	var after towpath.Policy
	after, err = s.Flow.ChangePolicy(c.Context(), c.PathValue("pipeline"), c.PathValue("environment"), change, flow.Act{
		By: c.Name, Record: s.record(c.Caller, "policy.change", key, change.String()),
	})
	if err != nil {
		return answer, err
	}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		answer, err = policyAt(tx, after, c.PathValue("environment"))
		return err
	})
	return answer, err
}

// policyAt is a policy for programs, with what is in conflict with it now.
func policyAt(tx *store.Tx, p towpath.Policy, name string) (client.Policy, error) {
	e, _, err := tx.Environment(p.Environment)
	switch {
	case errors.Is(err, store.ErrNotFound):
		answer := policyOf(p, name, "")
		answer.Absent = true
		return answer, nil
	case err != nil:
		return client.Policy{}, err
	}
	known, err := workersOf(tx, e)
	return policyOf(p, name, conflictOf(e, known)), err
}

func policyOf(p towpath.Policy, name, conflict string) client.Policy {
	p.Protected = approval.IsProtected(name, p)
	return client.Policy{
		Environment: p.Environment, Protected: p.Protected, Refs: p.Refs, Workers: p.Workers, Secrets: p.Secrets, Addresses: p.Addresses,
		By: p.By, At: p.At, Conflict: conflict,
	}
}

// workersOf names those that an environment is tied to or kept by, as far as they are known.
func workersOf(tx *store.Tx, e towpath.Environment) (map[string]string, error) {
	found := map[string]string{}
	for _, id := range []string{e.Keeper.Worker, e.Machine} {
		if id == "" {
			continue
		}
		worker, err := tx.Worker(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // a keeper may have been removed while its lease lasts
			return nil, err
		}
		found[id] = worker.Name
	}
	return found, nil
}

// conflictOf says what runs now that a policy does not allow, and what follows from it; empty is nothing. It was allowed when it began.
func conflictOf(e towpath.Environment, workers map[string]string) string {
	if e.IsRemoved() {
		return ""
	}
	machine := workers[e.Machine]
	isLeft := e.Machine != "" && machine != "" && !e.Policy.AdmitsWorker(machine)
	switch reason := e.Exceeds(nil); {
	case reason != "" && e.Live.Number == 0 && e.Deployment == nil:
		return "" // its definition is of a deployment that never came to be
	case reason != "":
		return reason + ", which the definition in force has: what runs goes on; no deployment of an earlier release and no rollback " +
			"starts, and no other keeper takes over"
	case isLeft:
		return fmt.Sprintf("the policy of %s does not allow worker %s, on whose machine its instances run: they go on, and nobody looks after them", e.Key, machine)
	}
	return ""
}

// policyShown is the policy of an environment, where there is anything to say of it.
func policyShown(e towpath.Environment, workers map[string]string) *client.Policy {
	p := e.Policy
	p.Environment = cmp.Or(p.Environment, e.Key)
	shown := policyOf(p, e.Name, conflictOf(e, workers))
	if shown.By == "" && !shown.Protected {
		return nil
	}
	return &shown
}
