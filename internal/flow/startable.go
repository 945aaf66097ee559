package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
)

// Startable is what a person may start of a branch, and what is asked for beforehand.
type Startable struct {
	Branch    string
	Revision  string             // the branch's newest
	Pipelines []towpath.Pipeline // those that may be started by hand
}

// Startable reads what may be started by hand at the newest commit of a branch, the default one where it is empty.
func (c *Conductor) Startable(ctx context.Context, project, branch string) (Startable, error) {
	p, change, err := c.wished(ctx, Wish{Project: project, Branch: branch})
	found := Startable{Branch: change.Branch, Revision: change.Revision}
	if err != nil {
		return found, err
	}
	change, contents, err := c.repositories.Read(ctx, p, change)
	if err != nil {
		return found, err
	}
	files, err := parseAll(p, change, contents)
	for _, file := range files {
		if file.Triggers().Manual {
			found.Pipelines = append(found.Pipelines, towpath.Pipeline{Name: file.Name(), Triggers: file.Triggers()})
		}
	}
	return found, err
}
