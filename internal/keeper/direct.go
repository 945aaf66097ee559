package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/durable"
)

// Wish is that of a person, or of the keeper itself, to go back without the server.
type Wish struct {
	Environment string `json:"environment"` // key, or its name where one environment only has it
	By          string `json:"by"`          // empty where it is the keeper's own
	Reason      string `json:"reason,omitempty"`
}

// Preview is what going back would do.
type Preview struct {
	Environment string          `json:"environment"` // key
	From        int             `json:"from"`        // the goal until now
	To          int             `json:"to"`
	Forecast    deploy.Forecast `json:"forecast"`
	Warning     string          `json:"warning,omitempty"` // what nobody but a person can see to
}

// Progress is one thing that is told of going back: a step that began or ended, the end, or why it stopped.
type Progress struct {
	Step    string `json:"step,omitempty"`   // operation and its reason, in words
	State   string `json:"state,omitempty"`  // of the step: begun, done or failed
	Detail  string `json:"detail,omitempty"` // of a step that ended
	Ended   *Ended `json:"ended,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Ended says how going back ended.
type Ended struct {
	Environment string                  `json:"environment"` // key
	To          int                     `json:"to"`
	State       towpath.DeploymentState `json:"state"` // live or returned where it serves now, or halted
	Outcome     string                  `json:"outcome,omitempty"`
	Serves      bool                    `json:"serves"` // To does
}

// Audience is who wants to go back.
type Audience struct {
	Agree func(Preview) error // an error ends it before anything is done, and is answered
	Tell  func(Progress)
}

// GoBack goes back in an environment that this machine keeps, without asking any server: by the worker that works in the
// data folder, where one does, else here and now. Once it began it goes on, if need be by the next worker that is started.
func GoBack(ctx context.Context, options Options, w Wish, a Audience) (Ended, error) {
	folder := filepath.Join(options.DataDir, "keeper")
	if _, err := os.Stat(filepath.Join(folder, "key")); errors.Is(err, fs.ErrNotExist) {
		return Ended{}, towpath.Errorf(towpath.CodeNotFound, "no worker has kept environments in %s", options.DataDir).
			WithHint("run this on the machine of the environment's keeper, with --data naming its worker's data folder")
	}
	unlock, err := durable.LockSoon(filepath.Join(folder, "lock"))
	if errors.Is(err, durable.ErrHeld) {
		return goBackThrough(ctx, folder, w, a)
	}
	if err != nil {
		return Ended{}, fmt.Errorf("go back: %w", err)
	}
	defer func() { _ = unlock() }()
	k, err := open(options)
	if err != nil {
		return Ended{}, fmt.Errorf("go back: %w", err)
	}
	k.remember()
	p, err := k.named(w.Environment)
	if err != nil {
		return Ended{}, err
	}
	return p.goBackHere(ctx, w, a)
}

// goBackHere performs in this process.
func (p *performer) goBackHere(ctx context.Context, w Wish, a Audience) (Ended, error) {
	defer p.close()
	if _, err := p.look(ctx, p.current()); err != nil {
		return Ended{}, fmt.Errorf("see what runs in %s: %w", p.key, err)
	}
	preview, err := p.preview(w)
	if err == nil {
		err = a.Agree(preview)
	}
	if err != nil {
		return Ended{}, err
	}
	told, unwatch := p.watch()
	defer unwatch()
	if err := p.goBack(w); err != nil {
		return Ended{}, err
	}
	p.begin(ctx)
	defer p.end()
	return follow(ctx, told, a)
}

// named finds an environment by its key, or by its name where only one has it.
func (k *Keeper) named(name string) (*performer, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	var keys []string
	var found *performer
	for _, known := range []map[string]*performer{k.performers, k.remembered} {
		for key, p := range known {
			if key == name {
				return p, nil
			}
			if strings.HasSuffix(key, "/"+name) {
				keys, found = append(keys, key), p
			}
		}
	}
	slices.Sort(keys)
	switch len(keys) {
	case 0:
		return nil, towpath.Errorf(towpath.CodeNotFound, "no order for environment %q is stored in %s", name, k.folder).
			WithHint("run this on the machine of the environment's keeper, with --data naming its worker's data folder")
	case 1:
		return found, nil
	}
	return nil, towpath.Errorf(towpath.CodeInvalid, "%q may be any of %s", name, strings.Join(keys, ", ")).
		WithHint("name it in full")
}

// preview says what going back would do, or why it cannot.
func (p *performer) preview(w Wish) (Preview, error) {
	p.mutex.Lock()
	e, serving, highest, seen, releases := p.recorded(), p.serving(), p.highest(), p.seen, p.order.Releases
	at := time.Now().Add(p.ahead)
	p.mutex.Unlock()
	preview := Preview{Environment: p.key, From: e.Goal.Number}
	next, back, err := backwards(e, serving, highest, w, at)
	if err != nil {
		return preview, err
	}
	if isBehind(e, serving) {
		preview.From = serving.Number
	}
	if isGoingBack(e) {
		preview.From = e.Deployment.Release.Number
	}
	preview.To = back.To.Number
	if !seen.isFencing {
		preview.Warning = fmt.Sprintf("the target or the balancer of %s cannot refuse orders of another keeper: "+
			"be sure that no other worker keeps it meanwhile", p.key)
	}
	facts := deploy.Facts{Environment: next, Observed: seen.facts.Observed, Now: at}
	facts.Environment, _ = next.Next(facts.TrafficSeen())
	preview.Forecast = deploy.NewForecastAlone(facts)
	if !p.keeper.link.isHeard() && !p.hasFilesFor(facts, back.To.Number, releases) {
		return preview, towpath.Errorf(towpath.CodeConflict,
			"the files of release %d, to which %s would go back, are not on this machine", preview.To, p.key).
			WithHint("only its server has them; bring that back first")
	}
	return preview, nil
}

// hasFilesFor says that all that would be placed is on this machine.
func (p *performer) hasFilesFor(f deploy.Facts, release int, releases []towpath.Release) bool {
	known := slices.IndexFunc(releases, func(r towpath.Release) bool { return r.Number == release })
	if known < 0 {
		return false
	}
	isPlaced := func(s deploy.Step) bool {
		_, is := s.Operation.(deploy.Place)
		return is
	}
	return p.keeper.trees.holds(releases[known]) || !slices.ContainsFunc(deploy.NewPlan(f).Alone(f).Steps, isPlaced)
}

// watch answers a channel on which going back is told of, until it is given up.
func (p *performer) watch() (told <-chan Progress, unwatch func()) {
	watcher := make(chan Progress, 256)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.watchers[watcher] = true
	return watcher, func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		delete(p.watchers, watcher)
	}
}

// tellAll tells whoever looks on. One who does not listen misses steps. The caller holds the mutex.
func (p *performer) tellAll(progress Progress) {
	for watcher := range p.watchers {
		select {
		case watcher <- progress:
		default:
		}
	}
}

func (p *performer) tellWatchers(progress Progress) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.tellAll(progress)
}

// note writes a line of the journal, and tells whoever looks on.
func (p *performer) note(e entry) {
	p.journal.write(e)
	p.tellWatchers(Progress{Step: e.Step, State: e.Event, Detail: e.Detail})
}

// endOf says how going back ended.
func (p *performer) endOf(back towpath.WentBack) *Ended {
	isTurned := back.Turned != "" && back.State == towpath.DeploymentReturned
	return &Ended{
		Environment: p.key, To: back.To.Number, State: back.State, Outcome: back.Outcome,
		Serves: isTurned || back.State == towpath.DeploymentLive,
	}
}

// errCutShort ends the watching, not the going back.
var errCutShort = towpath.Errorf(towpath.CodeUnavailable, "going back was begun, and is not over").
	WithHint("the worker of this folder goes on with it; without one, give the same order again")

// follow tells the audience until it is over.
func follow(ctx context.Context, told <-chan Progress, a Audience) (Ended, error) {
	for {
		select {
		case <-ctx.Done():
			return Ended{}, errors.Join(errCutShort, ctx.Err())
		case progress, more := <-told:
			switch {
			case !more:
				return Ended{}, errCutShort
			case progress.Problem != "":
				return Ended{}, towpath.Errorf(towpath.CodeConflict, "%s", progress.Problem)
			case progress.Ended != nil:
				return *progress.Ended, nil
			}
			a.Tell(progress)
		}
	}
}
