package web

import (
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// frozenOf is a freeze for programs. The name of a project is for who reads it to add.
func frozenOf(f towpath.Freeze) *client.Freeze {
	scope := string(f.Scope)
	if f.Scope == towpath.FreezeEnvironment {
		scope = "environment"
	}
	return &client.Freeze{Scope: scope, Of: f.Of, By: f.By, Reason: f.Reason, Since: f.At, Until: f.Until}
}

// freezes answers those that reach further than one environment, as far as the caller may see what they are of.
func (s *Server) freezes(c call[none]) ([]client.Freeze, error) {
	found := []client.Freeze{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		projects, err := projectNames(tx)
		if err != nil {
			return err
		}
		all, err := tx.Freezes()
		for _, f := range all {
			name, isThere := projects[f.Of]
			switch {
			case f.IsOver(s.Clock()):
				continue
			case f.Scope == towpath.FreezeProject && (!isThere || !c.Can(access.ReadProject, f.Of)):
				continue
			case f.Scope == towpath.FreezeProject:
				f.Of = name
			}
			found = append(found, *frozenOf(f))
		}
		return err
	})
	return found, err
}

func (s *Server) freezeName(c call[client.NewFreeze]) (client.Freeze, error) {
	return s.freezeWidely(c, towpath.Freeze{Scope: towpath.FreezeName, Of: c.PathValue("name")}, c.PathValue("name"))
}

func (s *Server) freezeProject(c call[client.NewFreeze]) (client.Freeze, error) {
	return s.freezeWidely(c, towpath.Freeze{Scope: towpath.FreezeProject, Of: c.Project.ID}, c.Project.Name)
}

func (s *Server) freezeWidely(c call[client.NewFreeze], f towpath.Freeze, name string) (client.Freeze, error) {
	f.By, f.Reason, f.Until, f.At = c.Name, c.Body.Reason, c.Body.Until.UTC().Truncate(time.Second), s.Clock()
	if c.Body.Until.IsZero() {
		f.Until = time.Time{}
	}
	err := s.Flow.FreezeWidely(c.Context(), f, s.record(c.Caller, "freeze."+string(f.Scope), name, f.String()))
	answer := frozenOf(f)
	answer.Of = name
	return *answer, err
}

func (s *Server) thawName(c call[none]) (none, error) {
	return none{}, s.thawWidely(c, towpath.Freeze{Scope: towpath.FreezeName, Of: c.PathValue("name")}, c.PathValue("name"))
}

func (s *Server) thawProject(c call[none]) (none, error) {
	return none{}, s.thawWidely(c, towpath.Freeze{Scope: towpath.FreezeProject, Of: c.Project.ID}, c.Project.Name)
}

func (s *Server) thawWidely(c call[none], f towpath.Freeze, name string) error {
	f.By = c.Name
	return s.Flow.ThawWidely(c.Context(), f, s.record(c.Caller, "thaw."+string(f.Scope), name, ""))
}

func (s *Server) freeze(c call[client.NewFreeze]) (client.Environment, error) {
	frozen := towpath.Frozen{By: c.Name, Reason: c.Body.Reason, At: s.Clock()}
	if !c.Body.Until.IsZero() {
		frozen.Until = c.Body.Until.UTC().Truncate(time.Second)
	}
	detail := c.Body.Reason
	if !frozen.Until.IsZero() {
		detail = strings.TrimSpace("until " + frozen.Until.Format(time.RFC3339) + " " + detail)
	}
	return s.changeEnvironment(c.Request, c.Caller, "freeze", detail, func(towpath.Environment) towpath.EnvironmentEvent { return frozen })
}

func (s *Server) thaw(c call[none]) (client.Environment, error) {
	return s.changeEnvironment(c.Request, c.Caller, "thaw", "", func(towpath.Environment) towpath.EnvironmentEvent {
		return towpath.Thawed{By: c.Name, At: s.Clock()}
	})
}

// startNow lets a deployment start outside of its window.
func (s *Server) startNow(c call[client.StartNow]) (client.Deployment, error) {
	key := keyIn(c.Request)
	started, err := s.Flow.StartNow(c.Context(), key, c.Body.Deployment, flow.Act{
		By: c.Name, Reason: strings.TrimSpace(c.Body.Reason),
		Record: s.record(c.Caller, "start", key, c.Body.Deployment+reasonOf(c.Body.Reason)),
	})
	return deploymentOf(started), err
}

// freezeWished reads the time as the server's clock shows it, as the pages do.
func (s *Server) freezeWished(c call[none]) (client.NewFreeze, error) {
	wish := client.NewFreeze{Reason: reasoned(c).Body.Reason}
	if text := c.PostForm.Get("until"); text != "" {
		until, err := time.ParseInLocation("2006-01-02T15:04", text, s.Clock().Location())
		if err != nil {
			return wish, towpath.Errorf(towpath.CodeInvalid, "%q is not a time", text).WithHint("write it like 2026-12-24T18:00")
		}
		wish.Until = until
	}
	return wish, nil
}

func (s *Server) freezeByForm(c call[none]) (string, error) {
	wish, err := s.freezeWished(c)
	if err == nil {
		_, err = s.freeze(call[client.NewFreeze]{Request: c.Request, Caller: c.Caller, Body: wish})
	}
	return there(c), err
}

func (s *Server) thawByForm(c call[none]) (string, error) {
	_, err := s.thaw(c)
	return there(c), err
}

func (s *Server) startByHand(c call[none]) (string, error) {
	wish := client.StartNow{Deployment: c.PostForm.Get("deployment"), Reason: reasoned(c).Body.Reason}
	_, err := s.startNow(call[client.StartNow]{Request: c.Request, Caller: c.Caller, Body: wish})
	return there(c), err
}
