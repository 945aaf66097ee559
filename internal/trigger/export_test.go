package trigger

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
)

// RunOnce is a round of the loop: it answers how long nothing is due.
func (p *Poller) RunOnce(ctx context.Context) (time.Duration, error) { return p.runOnce(ctx) }

// NextPoll answers when a project is asked again.
func (p *Poller) NextPoll(project towpath.Project) time.Time { return p.next[project.ID] }
