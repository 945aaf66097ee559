package web

import (
	"net/url"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) projectListPage(c call[none]) (templ.Component, error) {
	projects, err := s.projects(c)
	return page.ProjectList(page.Projects{Frame: s.frame(c.Caller, "/projects", "Projects"), Projects: projects}), err
}

func (s *Server) projectPage(c call[none]) (templ.Component, error) {
	view := page.Project{Frame: s.frame(c.Caller, "", c.Project.Name), CanManage: c.Can(access.ManageProject, c.Project.ID), CanStart: c.Can(access.StartRun, c.Project.ID)}
	var err error
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
