package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/store"
)

// longestJournal is how many operations of a deployment are kept. A deployment has a few dozen; one that tries the same again
// and again does not fill the disk.
const longestJournal = 1000

// chronicle keeps what is to be told of a deployment that begins: its plan and what it changes. Its commits are looked up later.
func (a *act) chronicle(before, after towpath.Environment) error {
	d := after.Deployment
	if d == nil || before.Deployment != nil && before.Deployment.ID == d.ID {
		return nil
	}
	seen, _, err := a.tx.Observation(after.Key)
	if err != nil {
		return err
	}
	forecast := deploy.NewForecast(deploy.Facts{Environment: after, Observed: seen, Now: a.at})
	told := towpath.Chronicle{Deployment: d.ID, Plan: forecast.String(), Operations: len(forecast.Lines)}
	if len(before.History) > 0 {
		told.Settings = after.Definition.Differences(before.Definition)
	}
	variables, err := a.variablesChanged(after)
	if err != nil {
		return err
	}
	told.Settings = append(told.Settings, variables...)
	a.began = true
	return a.tx.SaveChronicle(told)
}

// variablesChanged says by which variables a deployment's release differs from the one before.
func (a *act) variablesChanged(e towpath.Environment) ([]towpath.Setting, error) {
	d := e.Deployment
	if d.From.Number == 0 {
		return nil, nil
	}
	was, err := a.tx.Release(e.Pipeline, d.From.Number)
	if err != nil {
		return nil, unlessMissing(err)
	}
	is, err := a.tx.Release(e.Pipeline, d.Release.Number)
	return towpath.VariablesChanged(was.Env[e.Name], is.Env[e.Name]), unlessMissing(err)
}

// unlessMissing takes a release that is not known any more for one without variables.
func unlessMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// journal keeps what a keeper says that it did in the deployments of its environment.
func (a *act) journal(key string, entries []towpath.JournalEntry) error {
	for _, e := range entries {
		d, err := a.tx.Deployment(e.Deployment)
		if errors.Is(err, store.ErrNotFound) || err == nil && d.Environment != key {
			continue // of a state from before a restore, or of somebody who tells stories
		}
		if err != nil {
			return err
		}
		length, err := a.tx.JournalLength(e.Deployment)
		if err == nil && length < longestJournal {
			err = a.tx.AddToJournal(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// completeChronicles looks up the commits of deployments that have begun, in the mirrors that are there.
func (c *Conductor) completeChronicles(ctx context.Context) (more bool, err error) {
	const batch = 8
	var incomplete []towpath.Chronicle
	err = c.store.View(ctx, func(tx *store.Tx) error {
		incomplete, err = tx.IncompleteChronicles(batch)
		return err
	})
	if err != nil || c.store.Unwritable() != nil {
		return false, err
	}
	for _, told := range incomplete {
		if told.Commits, err = c.commitsOf(ctx, told.Deployment); err != nil {
			return false, err
		}
		if err := c.completeChronicle(ctx, told); err != nil {
			return false, err
		}
	}
	return len(incomplete) == batch, nil
}

func (c *Conductor) completeChronicle(ctx context.Context, told towpath.Chronicle) error {
	return c.store.Update(ctx, func(tx *store.Tx) error { return tx.SaveChronicle(told) })
}

// commitsOf answers what a deployment brought and took back. What cannot be found out is said, and not tried again.
func (c *Conductor) commitsOf(ctx context.Context, id string) (*towpath.Commits, error) {
	var d towpath.Deployment
	var project towpath.Project
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.Deployment(id); err != nil {
			return err
		}
		e, _, err := tx.Environment(d.Environment)
		if err != nil {
			return err
		}
		project, _, err = tx.Project(e.Project)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &towpath.Commits{Problem: "its environment is not there any more"}, nil
	case err != nil:
		return nil, fmt.Errorf("read deployment %s: %w", id, err)
	case d.From.Number == 0 || d.Release.Number == 0 || d.From.Revision == d.Release.Revision:
		return &towpath.Commits{}, nil
	}
	commits, err := c.repositories.Between(ctx, project, d.From.Revision, d.Release.Revision)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		commits = towpath.Commits{Problem: err.Error()}
	}
	return &commits, nil
}
