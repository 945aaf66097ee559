package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/crash"
)

// The bounds of the page of goals.
const (
	answersGoal = 2000 // ms until a server answers again
	killsGoal   = 200
	quickKills  = 20

	freezesGoal  = 100
	quickFreezes = 5
)

// strikeLimit is how long a kind of kill is waited for: nobody may be there to be killed, or come to the place.
const strikeLimit = 5 * time.Second

// where names what is under way at a kill that is not at random.
type where string

// The kinds of moments.
const (
	inTransaction where = "in a transaction"
	inUpload      where = "in an upload"
	inSwitch      where = "in a switch"
)

// crashes kills again and again, and counts.
type crashes struct {
	*stage
	world  *crash.World
	random *rand.Rand
	places map[where][]string
	kills  map[string]int // by kind
}

func measureCrash(ctx context.Context, s *stage) (figures []Figure, err error) {
	c := &crashes{stage: s, random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), kills: map[string]int{}}
	if err := c.findPlaces(ctx); err != nil {
		return nil, err
	}
	application := s.path("app")
	if err := s.build(ctx, application, "github.com/towpath-cd/towpath/e2e/testdata/app"); err != nil {
		return nil, err
	}
	c.world, err = crash.Open(ctx, crash.Options{Folder: s.path("w"), Towpath: s.towpath, Application: application})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.world.Close(context.WithoutCancel(ctx))) }()
	story, err := c.world.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.killAll(ctx, s.rounds(killsGoal, quickKills)); err != nil {
		return nil, err
	}
	s.say("waiting until everything is at rest")
	if err := errors.Join(c.world.Disarm(), story.Rest(ctx)); err != nil {
		return nil, err
	}
	verdict, err := story.Judge(ctx)
	if err != nil {
		return nil, err
	}
	for _, loss := range verdict.Losses {
		s.say("%s", loss)
	}
	frozen, err := c.freezeAll(ctx, s.rounds(freezesGoal, quickFreezes))
	return append(c.figures(verdict), frozen...), err
}

// freezeAll freezes the keeper again and again while it deploys, one time in ten for longer than its lease lasts.
func (c *crashes) freezeAll(ctx context.Context, count int) ([]Figure, error) {
	long, stale := 0, 0
	for n := range count {
		isLong := n%10 == 0
		if isLong {
			long++
			c.say("%d of %d freezes", n, count)
		}
		effects, err := c.world.Freeze(ctx, c.random, isLong)
		if err != nil {
			return nil, fmt.Errorf("freeze %d: %w", n+1, err)
		}
		for _, effect := range effects {
			c.say("stale: %s", effect)
		}
		stale += len(effects)
	}
	return []Figure{
		{Name: "keepers frozen and resumed under a past epoch", Ours: float64(count), Unit: "freezes", Goal: AtLeast(float64(count))},
		{Name: "of them past their lease as well", Ours: float64(long), Unit: "freezes"},
		{Name: "stale effects", Ours: float64(stale), Unit: "effects", Goal: AtMost(0)},
	}, nil
}

// findPlaces sorts those places at which somebody dies in the midst of something.
func (c *crashes) findPlaces(ctx context.Context) error {
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	module, err := crash.ReadModule(ctx, root)
	if err != nil {
		return fmt.Errorf("%w: go run ./bench crash has to be called in the folder of the module", err)
	}
	points, err := crash.Points(module)
	if err != nil {
		return err
	}
	kinds := map[where][]string{
		inTransaction: {"commit flow/", "commit trigger/", "commit web/"},
		inUpload:      {"upload ", "store a pack", "send a log", "add to a log", "write web/worker_artifacts.go"},
		inSwitch:      {"perform Shift", "perform Drain", "perform Conclude", "write proxy/"},
	}
	c.places = map[where][]string{}
	for kind, names := range kinds {
		for _, p := range points {
			if slices.ContainsFunc(names, func(begin string) bool { return strings.HasPrefix(p.Name, begin) }) {
				c.places[kind] = append(c.places[kind], p.Sides()...)
			}
		}
		if len(c.places[kind]) == 0 {
			return fmt.Errorf("there is no place %s", kind)
		}
	}
	return nil
}

// killAll kills so often, every second time in the midst of something.
func (c *crashes) killAll(ctx context.Context, count int) error {
	for done, tries := 0, 0; done < count; tries++ {
		if tries > 10*count {
			return fmt.Errorf("nobody is there to be killed any more, after %d kills", done)
		}
		name, isHit := c.strike(ctx, tries)
		if err := rest(ctx, time.Duration(c.random.IntN(600))*time.Millisecond); err != nil {
			return err
		}
		if !isHit {
			continue
		}
		c.kills[name]++
		if done++; done%20 == 0 {
			c.say("%d of %d kills", done, count)
		}
	}
	return nil
}

// strike kills somebody, and answers of which kind that was; false where nobody was there.
func (c *crashes) strike(ctx context.Context, turn int) (name string, isHit bool) {
	midst := []where{inTransaction, inUpload, inSwitch}
	if turn%2 == 0 {
		kind := midst[turn/2%len(midst)]
		return string(kind), c.strikeAt(ctx, kind)
	}
	victim := crash.Victims()[turn/2%len(crash.Victims())]
	err := until(ctx, string(victim), func() (bool, error) { return c.world.Strike(victim, c.random), nil })
	return "of a " + string(victim), err == nil
}

// strikeAt lets the next process die that comes to a place of the kind.
func (c *crashes) strikeAt(ctx context.Context, kind where) bool {
	before, err := c.world.Died()
	if err == nil {
		sides := c.places[kind]
		err = c.world.Arm(sides[c.random.IntN(len(sides))])
	}
	if err != nil {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, strikeLimit)
	defer cancel()
	_ = until(limited, string(kind), func() (bool, error) {
		armed, err := c.world.Armed()
		return len(armed) == 0, err
	})
	_ = c.world.Disarm()
	after, err := c.world.Died()
	return err == nil && len(after) > len(before)
}

// rest lets a while pass: the moment of a kill is no event that it could wait for.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *crashes) figures(v crash.Verdict) []Figure {
	all := 0
	var figures []Figure
	for _, name := range slices.Sorted(maps.Keys(c.kills)) {
		all += c.kills[name]
		figures = append(figures, Figure{Name: "kills " + name, Ours: float64(c.kills[name]), Unit: "kills"})
	}
	figures = append(figures, Figure{Name: "kills, of all kinds", Ours: float64(all), Unit: "kills", Goal: AtLeast(float64(c.rounds(killsGoal, quickKills)))})
	for kind, name := range map[string]string{
		crash.LostEvent: "acknowledged events lost", crash.Doubled: "effects doubled where the target can refuse",
		crash.WrongEnd: "runs and deployments that ended wrongly", crash.LeftBehind: "processes and instances left behind",
	} {
		figures = append(figures, Figure{Name: name, Ours: float64(v.Count(kind)), Unit: "events", Goal: AtMost(0)})
	}
	inFlight := c.world.Deaths(crash.Proxy) * crash.Clients
	var ready []float64
	for _, took := range c.world.Ready(crash.Server) {
		ready = append(ready, milliseconds(took))
	}
	return append(figures,
		Figure{Name: "requests asked", Ours: float64(v.Asked), Unit: "requests"},
		Figure{Name: "requests failed", Ours: float64(v.Failed), Unit: "requests"},
		Figure{Name: "requests failed beyond those in flight at a kill of the proxy", Ours: float64(max(0, v.Failed-inFlight)), Unit: "requests", Goal: AtMost(0)},
		Figure{Name: "requests refused", Ours: float64(v.Refused), Unit: "requests", Goal: AtMost(0)},
		Figure{Name: "server ready after a kill, median", Ours: median(ready), Unit: "ms", Goal: AtMost(answersGoal)},
		Figure{Name: "server ready after a kill, longest", Ours: quantile(ready, 1), Unit: "ms", Goal: AtMost(answersGoal)},
		Figure{Name: "alerts received", Ours: float64(v.Alerts), Unit: "alerts"},
		Figure{Name: "alerts received more than once", Ours: float64(v.Twice), Unit: "alerts"},
	)
}
