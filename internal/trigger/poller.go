package trigger

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
)

const (
	// longestPause bounds the back-off of a repository or host that does not answer.
	longestPause = 30 * time.Minute
	// pollTime is how long one repository may take to answer.
	pollTime = time.Minute
	// startPace is how far apart projects are asked when a server begins: so many of them need no more of the machine then
	// than later on, and one is asked at once.
	startPace = 50 * time.Millisecond
	// rereadEvery is how often the projects are read although nobody said that they have changed.
	rereadEvery = 5 * time.Second
)

// Poller asks repositories for new commits. One goroutine owns it; each repository is asked in one of its own.
type Poller struct {
	store        *store.Store
	repositories *Repositories
	recorded     func() // there are changes to look at
	tags         func(project string) bool
	clock        func() time.Time
	log          *slog.Logger
	bell         chan struct{}
	cancel       context.CancelFunc
	ended        chan struct{}
	strays       sync.Map // projects of which ignored branches were told

	answers chan answer
	asking  int               // repositories
	watched map[string]*watch // by project's ID
	hosts   map[string]*host
	begun   bool      // the projects were read before
	readAt  time.Time // when they were read last
}

// PollerOptions are what a poller is made of.
type PollerOptions struct {
	Store        *store.Store
	Repositories *Repositories
	Recorded     func()
	Tags         func(project string) bool // whether a project's pipelines want its tags, by its ID; nil is never
	Clock        func() time.Time
	Log          *slog.Logger
}

// watch is a project that is polled.
type watch struct {
	project  towpath.Project
	host     *host
	next     time.Time // when it is asked again
	since    time.Time // when it was asked; zero while it is not
	failures int       // in a row
	isNew    bool      // it was added while the poller ran, and was not asked yet
}

// answer is how asking a project ended.
type answer struct {
	project string // ID
	err     error
}

// NewPoller makes a poller, which does nothing before Start.
func NewPoller(o PollerOptions) *Poller {
	return &Poller{
		store: o.Store, repositories: o.Repositories, recorded: o.Recorded, tags: o.Tags, clock: o.Clock, log: o.Log,
		bell: make(chan struct{}, 1), answers: make(chan answer), watched: map[string]*watch{}, hosts: map[string]*host{},
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

// Wake makes the poller look at its projects now: one was added, or changed.
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
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case a := <-p.answers:
			p.settle(ctx, a)
		case <-p.bell:
			p.readAt = time.Time{}
		case <-timer.C:
		}
		timer.Stop()
	}
	for p.asking > 0 {
		p.settle(ctx, <-p.answers)
	}
}

// runOnce begins to ask the projects that are due, as many as may be asked at once, and answers how long there is nothing
// to do but to hear what they say.
func (p *Poller) runOnce(ctx context.Context) (wait time.Duration, err error) {
	if p.store.Unwritable() != nil {
		return time.Second, nil // what is seen could not be recorded
	}
	now := p.clock()
	if since := now.Sub(p.readAt); since >= rereadEvery || since < 0 {
		if err := p.read(ctx, now); err != nil {
			return time.Second, err
		}
	}
	places := p.count(now)
	for _, w := range p.due(now) {
		if places.admit(w.host, now) {
			p.ask(ctx, w, now)
		}
	}
	return p.pause(now), nil
}

// read takes notice of projects that were added, changed, paused or removed.
func (p *Poller) read(ctx context.Context, now time.Time) error {
	projects, err := p.polled(ctx)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(projects))
	for _, project := range projects {
		seen[project.ID] = true
		w := p.watched[project.ID]
		if w == nil {
			w = &watch{next: now, isNew: p.begun}
			if spread := min(project.Poll, time.Duration(len(projects))*startPace); !p.begun {
				w.next = now.Add(time.Duration(rand.Float64() * float64(spread)))
			}
			p.watched[project.ID] = w
		}
		if w.project.Poll > project.Poll { // it is to be asked more often from now on
			w.next = earlier(w.next, now.Add(project.Poll))
		}
		w.project, w.host = project, p.hostOf(project)
	}
	for id, w := range p.watched {
		if !seen[id] && w.since.IsZero() {
			delete(p.watched, id)
		}
	}
	p.forgetHosts()
	p.begun, p.readAt = true, now
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (p *Poller) polled(ctx context.Context) (projects []towpath.Project, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Projects()
		for _, project := range all {
			if isPolled(project) {
				projects = append(projects, project)
			}
		}
		return err
	})
	return projects, err
}

func isPolled(p towpath.Project) bool { return p.Poll > 0 && !p.Paused }

// due answers the projects whose time has come, the one first that waits longest.
func (p *Poller) due(now time.Time) []*watch {
	var due []*watch
	for _, w := range p.watched {
		if wait := w.next.Sub(now); w.since.IsZero() && (wait <= 0 || wait > w.farAhead()) {
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(a, b *watch) int { return a.next.Compare(b.next) })
	return due
}

// farAhead is longer than any pause: a poll that is due later was put there before the clock was set back.
func (w *watch) farAhead() time.Duration { return 2 * max(w.project.Poll, longestPause) }

// ask polls a project in a goroutine of its own.
func (p *Poller) ask(ctx context.Context, w *watch, now time.Time) {
	w.since = now
	p.asking++
	project := w.project
	go func() { p.answers <- answer{project.ID, p.pollNow(ctx, project)} }()
}

// pollNow polls a project unless it was paused or removed a moment ago.
func (p *Poller) pollNow(ctx context.Context, project towpath.Project) error {
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		project, _, err = tx.Project(project.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !isPolled(project) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Poll(ctx, project)
}

// settle puts the next poll at the project's interval, a tenth more or less so that projects do not come to be asked
// together, and later each time it fails. Where the host is to blame the project waits for the host.
func (p *Poller) settle(ctx context.Context, a answer) {
	p.asking--
	w, now := p.watched[a.project], p.clock()
	if w == nil {
		return
	}
	w.since = time.Time{}
	pause := w.project.Poll
	switch isDown := errors.Is(a.err, git.ErrUnreachable); {
	case a.err == nil:
		w.failures = 0
		w.host.answered()
	case ctx.Err() != nil, errors.Is(a.err, store.ErrUnwritable):
	case isDown && w.host.name != "":
		pause = max(pause, w.host.failed(now))
		p.log.Warn("a host does not answer", "host", w.host.name, "project", w.project.Name, "failures", w.host.failures,
			"again_in", pause, "error", a.err)
	default:
		w.failures++
		w.host.answered()
		pause = max(pause, backOff(pause, w.failures))
		p.log.Warn("polling failed", "project", w.project.Name, "failures", w.failures, "again_in", pause, "error", a.err)
	}
	w.next = now.Add(spread(pause))
	if w.isNew && a.err == nil { // it may have come with a thousand others
		w.next = now.Add(time.Duration((0.1 + 0.9*rand.Float64()) * float64(pause)))
	}
	w.isNew = false
}

func backOff(pause time.Duration, failures int) time.Duration {
	return min(longestPause, pause<<min(failures, 8))
}

// spread is a pause, a tenth more or less.
func spread(pause time.Duration) time.Duration {
	return pause + time.Duration((rand.Float64()-0.5)*0.2*float64(pause))
}

// pause answers how long no project is due that is not due already: one that is waits for others' answers, or for its host.
func (p *Poller) pause(now time.Time) time.Duration {
	wait := rereadEvery
	for _, w := range p.watched {
		switch {
		case w.next.After(now):
			wait = min(wait, w.next.Sub(now))
		case !w.since.IsZero() && now.Sub(w.since) < slowAfter:
			wait = min(wait, slowAfter-now.Sub(w.since))
		case w.host.until.After(now):
			wait = min(wait, w.host.until.Sub(now))
		}
	}
	return max(wait, 10*time.Millisecond)
}
