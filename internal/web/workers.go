package web

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/store"
)

// label is what the pipeline file takes for one.
var label = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._=-]{0,62}$`)

// mostLabels is how many a worker may have.
const mostLabels = 100

func checkLabels(labels []string) error {
	if len(labels) > mostLabels {
		return towpath.Errorf(towpath.CodeInvalid, "a worker has at most %d labels", mostLabels)
	}
	for _, l := range labels {
		if !label.MatchString(l) {
			return towpath.Errorf(towpath.CodeInvalid, "%q cannot be a label", l).
				WithHint("labels are made of letters, digits, dots, dashes, underscores and equals signs")
		}
	}
	return nil
}

func (s *Server) workers(c call[none]) ([]client.Worker, error) { return s.allWorkers(c.Context()) }

func (s *Server) allWorkers(ctx context.Context) ([]client.Worker, error) {
	found := []client.Worker{}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		workers, err := tx.Workers()
		if err != nil {
			return err
		}
		leases, err := tx.Leases()
		running := map[string]int{}
		for _, l := range leases {
			running[l.Worker]++
		}
		for _, w := range workers {
			found = append(found, s.workerOf(w, running[w.ID]))
		}
		return err
	})
	return found, err
}

func (s *Server) workerOf(w store.KnownWorker, running int) client.Worker {
	return client.Worker{
		ID: w.ID, Name: w.Name, OS: w.OS, Arch: w.Arch, Labels: w.Labels, Slots: w.Slots, Running: running,
		Draining: w.Draining, DrainedBy: w.DrainedBy, Version: w.Version, Older: isOlder(w.Version, s.Version),
		Added: w.Added, Removed: w.Removed, SeenAt: s.Flow.LastSeen(w), JoinedAt: w.JoinedAt,
	}
}

func (s *Server) newWorkerToken(c call[none]) (client.Token, error) {
	text, expires, err := s.Guard.NewRegistration(c.Context(), c.String())
	return client.Token{Name: "worker", Token: text, ExpiresAt: expires}, err
}

// registerWorker makes a machine a worker, which the same machine stays.
func (s *Server) registerWorker(c call[client.Registration]) (client.Registered, error) {
	b := c.Body
	if _, err := uuid.Parse(b.Machine); err != nil {
		return client.Registered{}, towpath.Errorf(towpath.CodeInvalid, "machine has to be a UUID that the worker keeps")
	}
	if err := checkLabels(b.Labels); err != nil {
		return client.Registered{}, err
	}
	now := s.Clock()
	worker := towpath.Worker{
		ID: b.Machine, Name: b.Name, OS: b.OS, Arch: b.Arch, Labels: b.Labels, Slots: b.Slots, Version: b.Version,
		SeenAt: now, JoinedAt: now,
	}
	key, err := s.Guard.RegisterWorker(c.Context(), b.Token, worker)
	return client.Registered{Worker: worker.ID, Key: key}, err
}

func (s *Server) drainWorker(c call[struct {
	Draining bool `json:"draining"`
}],
) (none, error) {
	return none{}, s.setDraining(call[none]{Request: c.Request, Caller: c.Caller}, c.Body.Draining)
}

func (s *Server) setDraining(c call[none], draining bool) error {
	id, action := c.PathValue("worker"), "worker.resume"
	if draining {
		action = "worker.drain"
	}
	err := s.audited(c.Request, c.Caller, action, id, "", func(tx *store.Tx) error {
		return tx.DrainWorker(id, draining, c.String())
	})
	if err == nil {
		s.Flow.LookAgain()
	}
	return err
}

// labelWorker gives a worker labels and takes some from it. What it says of itself stays known, so that either can be undone.
func (s *Server) labelWorker(c call[client.Labeling]) (answer client.Worker, err error) {
	if err := checkLabels(slices.Concat(c.Body.Add, c.Body.Remove)); err != nil {
		return answer, err
	}
	id := c.PathValue("worker")
	err = s.audited(c.Request, c.Caller, "worker.label", id, labeling(c.Body), func(tx *store.Tx) error {
		w, err := tx.Worker(id)
		if err != nil {
			return err
		}
		w.Added = union(without(w.Added, c.Body.Remove), c.Body.Add)
		w.Removed = union(without(w.Removed, c.Body.Add), c.Body.Remove)
		if err := checkLabels(slices.Concat(w.Told, w.Added)); err != nil {
			return err
		}
		if err := tx.LabelWorker(id, w.Added, w.Removed); err != nil {
			return err
		}
		if w, err = tx.Worker(id); err != nil {
			return err
		}
		leases, err := tx.LeasesOf(id)
		answer = s.workerOf(w, len(leases))
		return err
	})
	if err == nil {
		s.Flow.LookAgain()
	}
	return answer, err
}

// labeling is a change for the audit: "+gpu -big".
func labeling(l client.Labeling) string {
	var parts []string
	for _, add := range l.Add {
		parts = append(parts, "+"+add)
	}
	for _, remove := range l.Remove {
		parts = append(parts, "-"+remove)
	}
	return strings.Join(parts, " ")
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(l string) bool { return slices.Contains(some, l) })
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *Server) removeWorker(c call[none]) (none, error) {
	id := c.PathValue("worker")
	return none{}, s.audited(c.Request, c.Caller, "worker.remove", id, "", func(tx *store.Tx) error {
		return tx.DeleteWorker(id)
	})
}
