package trigger

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// pollsAtOnce bounds how many repositories are asked at the same time.
const pollsAtOnce = 4

// longestPause bounds the back-off of a repository that does not answer.
const longestPause = 30 * time.Minute

// Poller asks repositories for new commits. Projects are read anew each round, so that one that was added, paused or
// removed counts at once.
type Poller struct {
	store        *store.Store
	repositories *Repositories
	recorded     func() // there are changes to look at
	clock        func() time.Time
	log          *slog.Logger
	bell         chan struct{}
	cancel       context.CancelFunc
	ended        chan struct{}
	next         map[string]time.Time // by project's ID: when it is asked again
	failures     map[string]int       // in a row
}

// PollerOptions are what a poller is made of.
type PollerOptions struct {
	Store        *store.Store
	Repositories *Repositories
	Recorded     func()
	Clock        func() time.Time
	Log          *slog.Logger
}

// NewPoller makes a poller, which does nothing before Start.
func NewPoller(o PollerOptions) *Poller {
	return &Poller{
		store: o.Store, repositories: o.Repositories, recorded: o.Recorded, clock: o.Clock, log: o.Log,
		bell: make(chan struct{}, 1), next: map[string]time.Time{}, failures: map[string]int{},
	}
}

// Start begins to poll.
func (p *Poller) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.ended = cancel, make(chan struct{})
	go p.run(ctx)
}

// Stop waits for what is under way. It may be called more than once, and before Start.
func (p *Poller) Stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	<-p.ended
}

// Wake makes the poller look at its projects now: one was added.
func (p *Poller) Wake() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

func (p *Poller) run(ctx context.Context) {
	defer close(p.ended)
	for ctx.Err() == nil {
		wait, err := p.runOnce(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.Error("a round of polling failed", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-p.bell:
		case <-time.After(wait):
		}
	}
}

// runOnce asks the projects that are due, and answers how long nobody else is.
func (p *Poller) runOnce(ctx context.Context) (wait time.Duration, err error) {
	if p.store.Unwritable() != nil {
		return time.Second, nil // what is seen could not be recorded
	}
	projects, err := p.polled(ctx)
	if err != nil {
		return time.Second, err
	}
	var due []towpath.Project
	now := p.clock()
	for _, project := range projects {
		if wait := p.next[project.ID].Sub(now); wait <= 0 || wait > farAhead(project) {
			due = append(due, project)
		}
	}
	p.ask(ctx, due)
	return p.pause(projects), nil
}

func (p *Poller) polled(ctx context.Context) (projects []towpath.Project, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Projects()
		for _, project := range all {
			if project.Poll > 0 && !project.Paused {
				projects = append(projects, project)
			}
		}
		return err
	})
	return projects, err
}

// ask polls several projects at once, and notes when each is due again.
func (p *Poller) ask(ctx context.Context, due []towpath.Project) {
	places := make(chan struct{}, pollsAtOnce)
	results := make([]error, len(due))
	var asked sync.WaitGroup
	for i, project := range due {
		places <- struct{}{}
		asked.Go(func() {
			results[i] = p.Poll(ctx, project)
			<-places
		})
	}
	asked.Wait()
	for i, project := range due {
		p.schedule(ctx, project, results[i])
	}
}

// schedule puts the next poll at the project's interval, a tenth more or less so that projects spread, and later each
// time it fails.
func (p *Poller) schedule(ctx context.Context, project towpath.Project, err error) {
	pause := project.Poll
	if err == nil {
		p.failures[project.ID] = 0
	} else if ctx.Err() == nil && !errors.Is(err, store.ErrUnwritable) {
		p.failures[project.ID]++
		pause = max(pause, min(longestPause, pause<<min(p.failures[project.ID], 8)))
		p.log.Warn("polling failed", "project", project.Name, "failures", p.failures[project.ID], "again_in", pause, "error", err)
	}
	spread := time.Duration((rand.Float64() - 0.5) * 0.2 * float64(pause))
	p.next[project.ID] = p.clock().Add(pause + spread)
}

// farAhead is longer than any pause: a poll that is due later was put there before the clock was set back.
func farAhead(project towpath.Project) time.Duration { return 2 * max(project.Poll, longestPause) }

func (p *Poller) pause(projects []towpath.Project) time.Duration {
	wait := time.Minute
	for _, project := range projects {
		wait = min(wait, p.next[project.ID].Sub(p.clock()))
	}
	return max(wait, 10*time.Millisecond)
}

// Poll asks one repository for its branches, and records a change for each that has moved. A branch that is seen for the
// first time makes a change if it is the default one: so a new project has its first run at once, and not one for each
// old branch.
func (p *Poller) Poll(ctx context.Context, project towpath.Project) error {
	_, tips, err := p.repositories.Tips(ctx, project.URL)
	if err != nil {
		return err
	}
	var heads map[string]string
	err = p.store.View(ctx, func(tx *store.Tx) error {
		heads, err = tx.Heads(project.ID)
		return err
	})
	if err != nil || same(heads, tips) {
		return err
	}
	fresh := false
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		fresh, err = p.record(tx, project, tips)
		return err
	})
	if err == nil && fresh {
		p.recorded()
	}
	return err
}

func (p *Poller) record(tx *store.Tx, project towpath.Project, tips map[string]string) (fresh bool, err error) {
	heads, err := tx.Heads(project.ID)
	if err != nil {
		return false, err
	}
	now := p.clock()
	for branch, revision := range tips {
		before, known := heads[branch]
		if before == revision {
			continue
		}
		if err := tx.SaveHead(project.ID, branch, revision, now); err != nil {
			return false, err
		}
		isDefault := branch == project.DefaultBranch
		if !known && !isDefault && len(heads) == 0 {
			continue
		}
		isNew, err := tx.RecordChange(towpath.Change{
			Project: project.ID, Branch: branch, Revision: revision, Before: before,
			Trigger: towpath.TriggerPush, Trusted: isDefault, SeenAt: now,
		}, "")
		if err != nil {
			return false, err
		}
		fresh = fresh || isNew
	}
	for branch := range heads {
		if _, there := tips[branch]; !there {
			if err := tx.ForgetHead(project.ID, branch); err != nil {
				return false, err
			}
		}
	}
	return fresh, nil
}

func same(heads, tips map[string]string) bool {
	if len(heads) != len(tips) {
		return false
	}
	for branch, revision := range tips {
		if heads[branch] != revision {
			return false
		}
	}
	return true
}
