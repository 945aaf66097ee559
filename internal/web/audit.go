package web

import (
	"net/http"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// record answers what writes an act into the audit. It runs in the transaction of the act: there is not the one without
// the other.
func (s *Server) record(by access.Caller, action, object, detail string) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		return access.Record(tx, access.Act{Actor: by.String(), Action: action, Object: object, Detail: detail, At: s.Clock()})
	}
}

// audited does a privileged act in a transaction of its own, and records it there.
func (s *Server) audited(r *http.Request, by access.Caller, action, object, detail string, act func(*store.Tx) error) error {
	return s.rightsChanged(s.Store.Update(r.Context(), func(tx *store.Tx) error {
		if err := act(tx); err != nil {
			return err
		}
		return s.record(by, action, object, detail)(tx)
	}))
}

func (s *Server) changeEnvironment(r *http.Request, by access.Caller, action, detail string, event func(towpath.Environment) towpath.EnvironmentEvent) (client.Environment, error) {
	key := keyIn(r)
	if _, err := s.Flow.Change(r.Context(), key, s.record(by, action, key, detail), event); err != nil {
		return client.Environment{}, err
	}
	return s.readEnvironment(r)
}

func nothing(*store.Tx) error { return nil }
