package web

import (
	"fmt"
	"math"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) changes(c call[none]) ([]client.Change, error) {
	wanted := store.ChangeFilter{Projects: []string{c.Project.ID}, Limit: listed}
	err := numberIn(c.Request, "limit", listedMost, &wanted.Limit)
	if err == nil {
		err = numberIn(c.Request, "before", math.MaxInt32, &wanted.Before)
	}
	if err != nil {
		return nil, err
	}
	found := []client.Change{}
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		recorded, err := tx.Changes(wanted)
		for _, r := range recorded {
			found = append(found, changeOf(r))
		}
		return err
	})
	return found, err
}

func changeOf(r store.RecordedChange) client.Change {
	c := client.Change{
		ID: r.ID, Branch: r.Change.Branch, Revision: r.Change.Revision, Trigger: string(r.Change.Trigger),
		Outcome: string(r.Outcome), Reason: r.Reason, SeenAt: r.Change.SeenAt, By: r.Change.By, AllowedBy: r.AllowedBy,
		Pipelines: r.Change.Pipelines, Upstream: r.Change.Upstream, Runs: r.Runs,
	}
	if request := r.Change.Request; request != nil {
		c.Request = &client.PullRequest{
			Number: request.Number, Title: request.Title, URL: request.URL, Author: request.Author,
			Base: request.Base, Head: request.Head, Fork: request.Fork,
		}
	}
	return c
}

// allowChange lets a change run that waits for a maintainer's go.
func (s *Server) allowChange(c call[none]) (client.Change, error) {
	id, err := strconv.Atoi(c.PathValue("id"))
	if err != nil || id < 1 {
		return client.Change{}, towpath.Errorf(towpath.CodeInvalid, "%q is not the ID of a change", c.PathValue("id"))
	}
	allowed, err := s.Flow.AllowChange(c.Context(), c.Project.ID, id, flow.Act{
		By: c.Name, Record: s.record(c.Caller, "change.allow", c.Project.Name, fmt.Sprint(id)),
	})
	return changeOf(allowed), err
}
