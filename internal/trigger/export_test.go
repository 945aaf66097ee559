package trigger

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// RunOnce asks all that may be asked now, hears them out, and answers how long there is nothing to do.
func (p *Poller) RunOnce(ctx context.Context) (time.Duration, error) {
	p.readAt = time.Time{}
	wait, err := p.runOnce(ctx)
	for err == nil && p.asking > 0 {
		p.settle(ctx, <-p.answers)
		wait, err = p.runOnce(ctx)
	}
	return wait, err
}

// NextPoll answers when a project is asked again.
func (p *Poller) NextPoll(project towpath.Project) time.Time { return p.watched[project.ID].next }

// Begin reads the projects as a poller that starts does.
func (p *Poller) Begin(ctx context.Context) error { return p.read(ctx, p.clock()) }

// PollMeanwhile asks a repository, and records what it said after something else has happened.
func (p *Poller) PollMeanwhile(ctx context.Context, project towpath.Project, happens func()) error {
	l, err := p.look(ctx, project)
	if err != nil {
		return err
	}
	happens()
	return p.store.Update(ctx, func(tx *store.Tx) error {
		_, err := p.record(tx, l)
		return err
	})
}
