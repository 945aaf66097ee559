package web

import (
	"errors"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/web/page"
)

// journalShown is how many operations of a deployment are shown.
const journalShown = 1000

// history answers all that is known of one deployment.
func (s *Server) history(c call[none]) (answer client.History, err error) {
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		answer, err = historyOf(tx, keyIn(c.Request), c.PathValue("id"))
		return err
	})
	return answer, err
}

func historyOf(tx *store.Tx, key, id string) (h client.History, err error) {
	d, err := tx.Deployment(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && d.Environment != key {
		return h, towpath.Errorf(towpath.CodeNotFound, "there is no deployment %s of %s", id, key)
	}
	if err != nil {
		return h, err
	}
	told, err := tx.Chronicle(id)
	if err != nil {
		return h, err
	}
	h = client.History{Deployment: deploymentOf(d), Title: d.Release.Title, Revision: d.Release.Revision, Plan: told.Plan, Commits: commitsOf(told)}
	for _, s := range told.Settings {
		h.Settings = append(h.Settings, client.Setting{Name: s.Name, How: s.How, Before: s.Before, After: s.After})
	}
	journal, err := tx.Journal(id, journalShown)
	for _, e := range journal {
		h.Journal = append(h.Journal, client.Entry{Operation: e.Operation, Began: e.Began, Ended: e.Ended, Problem: e.Problem})
	}
	return h, err
}

func commitsOf(told towpath.Chronicle) client.Commits {
	if told.Commits == nil {
		return client.Commits{Pending: told.Plan != ""}
	}
	c := client.Commits{More: told.Commits.More, Problem: told.Commits.Problem}
	for _, commit := range told.Commits.Added {
		c.Added = append(c.Added, client.Commit(commit))
	}
	for _, commit := range told.Commits.Removed {
		c.Removed = append(c.Removed, client.Commit(commit))
	}
	return c
}

func (s *Server) historyPage(c call[none]) (templ.Component, error) {
	h, err := s.history(c)
	return page.DeploymentPage(page.Deployment{
		Frame: s.frame(c.Caller, "", "Deployment to "+keyIn(c.Request)), History: h,
		Pipeline: c.PathValue("pipeline"), Environment: c.PathValue("environment"),
	}), err
}
