package web

import (
	"net/url"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) projectListPage(c call[none]) (templ.Component, error) {
	projects, err := s.projects(c)
	if err != nil {
		return nil, err
	}
	view := page.Projects{Frame: s.frame(c.Caller, "/projects", "Projects"), Projects: projects, Frozen: make(map[string]string)}
	frozen, err := s.freezes(c)
	for _, f := range frozen {
		if f.Scope == string(towpath.FreezeProject) {
			view.Frozen[f.Of] = freezeInWords(f)
		}
	}
	return page.ProjectList(view), err
}

// freezeInWords says by whom, until when and why, where it is plain what is frozen.
func freezeInWords(f client.Freeze) string {
	return towpath.Freeze{Scope: towpath.FreezeEnvironment, By: f.By, Reason: f.Reason, Until: f.Until}.String()
}

// tellFreezes adds those that reach an environment of the project.
func (s *Server) tellFreezes(c call[none], view *page.Project) error {
	frozen, err := s.freezes(c)
	for _, f := range frozen {
		switch {
		case f.Scope == string(towpath.FreezeProject) && f.Of == c.Project.Name:
			view.Frozen, view.FrozenAt = freezeInWords(f), f.Since
		case f.Scope == string(towpath.FreezeName):
			view.FrozenEach = append(view.FrozenEach, page.FrozenByName{Name: f.Of, Text: freezeInWords(f)})
		}
	}
	return err
}

func (s *Server) freezeProjectByForm(c call[none]) (string, error) {
	wish, err := s.freezeWished(c)
	if err == nil {
		_, err = s.freezeProject(call[client.NewFreeze]{Request: c.Request, Caller: c.Caller, Body: wish})
	}
	return "/projects/" + url.PathEscape(c.Project.Name), err
}

func (s *Server) thawProjectByForm(c call[none]) (string, error) {
	_, err := s.thawProject(c)
	return "/projects/" + url.PathEscape(c.Project.Name), err
}

func (s *Server) projectPage(c call[none]) (templ.Component, error) {
	view := page.Project{Frame: s.frame(c.Caller, "", c.Project.Name), CanManage: c.Can(access.ManageProject, c.Project.ID), CanStart: c.Can(access.StartRun, c.Project.ID)}
	view.CanFreeze = c.Can(access.ManageEnvironments, c.Project.ID)
	err := s.tellFreezes(c, &view)
	if err != nil {
		return nil, err
	}
	if view.Project, err = s.project(c); err != nil {
		return nil, err
	}
	if view.Changes, err = s.changes(c); err != nil {
		return nil, err
	}
	view.Deliveries, err = s.deliveries(c)
	return page.ProjectPage(view), err
}

func (s *Server) replayByForm(c call[none]) (string, error) {
	_, err := s.replayDelivery(c)
	return "/projects/" + url.PathEscape(c.Project.Name), err
}
