package web

import (
	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// planOfRemoval forecasts what would be taken down, and answers why nothing may be.
func (s *Server) planOfRemoval(tx *store.Tx, e towpath.Environment) (client.Plan, error) {
	facts := deploy.Facts{Now: s.Clock()}
	removal := towpath.RemovalRequested{ID: "forecast", At: facts.Now}
	if err := e.Refuses(removal); err != nil {
		return client.Plan{}, err
	}
	facts.Environment, _ = e.Next(removal)
	var err error
	facts.Observed, _, err = tx.Observation(e.Key)
	return planOf(facts), err
}

func (s *Server) removeEnvironment(c call[client.Reasoned]) (client.Deployment, error) {
	key := keyIn(c.Request)
	made, err := s.Flow.Remove(c.Context(), key, flow.Act{
		By: c.Name, Reason: c.Body.Reason, Record: s.record(c.Caller, "remove environment", key, c.Body.Reason),
	})
	return deploymentOf(made), err
}
