package web

import (
	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) workerListPage(c call[none]) (templ.Component, error) {
	workers, err := s.allWorkers(c.Context())
	return page.WorkerList(page.Workers{
		Frame: s.frame(c.Caller, "/workers", "Workers"), Workers: workers, Version: s.Version,
	}), err
}

func (s *Server) drainByForm(c call[none]) (string, error) { return "/workers", s.setDraining(c, true) }

func (s *Server) resumeByForm(c call[none]) (string, error) {
	return "/workers", s.setDraining(c, false)
}

func (s *Server) removeWorkerByForm(c call[none]) (string, error) {
	_, err := s.removeWorker(c)
	return "/workers", err
}
