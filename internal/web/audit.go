package web

import (
	"net/http"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// audited does a privileged act and records it, in one transaction: there is not the one without the other.
func (s *Server) audited(r *http.Request, by access.Caller, action, object, detail string, act func(*store.Tx) error) error {
	return s.Store.Update(r.Context(), func(tx *store.Tx) error {
		if err := act(tx); err != nil {
			return err
		}
		return access.Record(tx, access.Act{Actor: by.String(), Action: action, Object: object, Detail: detail, At: s.Clock()})
	})
}

// audit records an act of the conductor, which has a transaction of its own.
func (s *Server) audit(r *http.Request, by access.Caller, action, object, detail string) error {
	return s.audited(r, by, action, object, detail, func(*store.Tx) error { return nil })
}

func (s *Server) changeEnvironment(r *http.Request, by access.Caller, action, detail string, event func(towpath.Environment) towpath.EnvironmentEvent) (client.Environment, error) {
	key := keyIn(r)
	if _, err := s.Flow.Change(r.Context(), key, event); err != nil {
		return client.Environment{}, err
	}
	if err := s.audit(r, by, action, key, detail); err != nil {
		return client.Environment{}, err
	}
	return s.readEnvironment(r)
}
