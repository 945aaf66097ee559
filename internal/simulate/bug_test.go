//go:build !race

package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// bug is put between the judged code and the world, and has to turn its invariant red.
type bug struct {
	invariant
	what string
	put  func(*wiring)
}

func bugs() []bug {
	return slices.Concat(bugsOfTheStore(), bugsOfTheReducer(), bugsOfThePlanner(), bugsBesideIt(), bugsOnHosts(), bugsInSteps())
}

// bugSeeds is within how many stories each bug has to be seen.
const bugSeeds = 1000

// An invariant that cannot fail proves nothing.
func TestEveryInvariantSeesItsBug(t *testing.T) {
	shown := bugs()
	if testing.Short() {
		shown = bugsOfTheStore() // which are seen at once
	}
	for _, b := range shown {
		t.Run(b.Name, func(t *testing.T) {
			report, err := Run(t.Context(), Options{From: 1, Seeds: bugSeeds, until: b.Name, wiring: func() wiring {
				w := newWiring()
				b.put(&w)
				return w
			}})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(report.Failed, func(f Failure) bool { return f.Invariant == b.Name }) {
				t.Fatalf("%s: %d stories, and nobody notices; broken are %v", b.what, report.Seeds, names(report.Failed))
			}
			t.Logf("%s: seen in story %d", b.what, report.Seeds)
		})
	}
}

func TestEveryInvariantHasABug(t *testing.T) {
	for _, i := range invariants() {
		if !slices.ContainsFunc(bugs(), func(b bug) bool { return b.invariant == i }) {
			t.Errorf("no bug turns %q red", i.Name)
		}
	}
}

func names(failed []Failure) map[string]int {
	count := map[string]int{}
	for _, f := range failed {
		count[f.Invariant]++
	}
	return count
}

// saving is a store's way to save.
type saving func(*store.Store, context.Context, func(*store.Tx) error) error

// tampering has something done at the end of each transaction, in it.
func tampering(with func(*store.Tx) error) saving {
	return func(s *store.Store, ctx context.Context, fn func(*store.Tx) error) error {
		return s.Update(ctx, func(tx *store.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return with(tx)
		})
	}
}

// tamperingWith changes each environment that is stored; the answer says whether it did.
func tamperingWith(change func(*towpath.Environment) bool) func(*wiring) {
	return func(w *wiring) {
		w.update = tampering(func(tx *store.Tx) error {
			environments, err := tx.Environments(store.EnvironmentFilter{})
			if err != nil {
				return err
			}
			for _, e := range environments {
				_, version, err := tx.Environment(e.Key)
				if err == nil && change(&e) {
					err = tx.SaveEnvironment(e, version)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// tamperingWithRuns changes each run that is stored.
func tamperingWithRuns(change func(*towpath.Run) bool) func(*wiring) {
	return func(w *wiring) {
		w.update = tampering(func(tx *store.Tx) error {
			runs, err := tx.Runs(store.RunFilter{})
			if err != nil {
				return err
			}
			for _, run := range runs {
				_, version, err := tx.Run(run.ID)
				if err == nil && change(&run) {
					err = tx.SaveRun(run, version)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

var errForgotten = errors.New("forgotten")

// forgets answers that something was saved which was not, now and then.
func forgets() saving {
	saved := 0
	return func(s *store.Store, ctx context.Context, fn func(*store.Tx) error) error {
		if saved++; saved%12 != 0 {
			return s.Update(ctx, fn)
		}
		err := s.Update(ctx, func(tx *store.Tx) error { return errors.Join(fn(tx), errForgotten) })
		if errors.Is(err, errForgotten) && towpath.CodeOf(err) == towpath.CodeInternal {
			return nil
		}
		return err
	}
}

func bugsOfTheStore() []bug {
	return []bug{
		{recorded, "a store that forgets now and then", func(w *wiring) { w.update = forgets() }},
		{outcome, "a store that does everything twice", func(w *wiring) {
			w.update = func(s *store.Store, ctx context.Context, fn func(*store.Tx) error) error {
				err := s.Update(ctx, fn)
				if err == nil {
					_ = s.Update(ctx, fn)
				}
				return err
			}
		}},
		{ends, "an outbox that loses what a deployment has to say to its step", func(w *wiring) {
			w.update = tampering(func(tx *store.Tx) error {
				due, err := tx.DueEffects(began.Add(100*time.Hour), 0)
				for _, d := range due {
					if _, is := d.Effect.(towpath.TellStep); is && err == nil {
						err = tx.EffectDone(d.Effect.Key(), began)
					}
				}
				return err
			})
		}},
		{answers, "a store that fails in a way that nobody has foreseen", func(w *wiring) {
			saved := 0
			w.update = func(s *store.Store, ctx context.Context, fn func(*store.Tx) error) error {
				if saved++; saved == 20 {
					return errors.New("malformed")
				}
				return s.Update(ctx, fn)
			}
		}},
	}
}

func bugsOfTheReducer() []bug {
	return []bug{
		{attempts, "a run step that was lost runs again by itself", func(w *wiring) {
			tamperingWithRuns(retryEverything)(w)
			w.tune = func(s *scenario) { s.shape, s.faults = shape{script: true}, faults{workerDies: 0.5} }
		}},
		{sameBytes, "a digest that changes on its way", tamperingWithRuns(func(run *towpath.Run) (changed bool) {
			for _, s := range run.Steps {
				if len(s.Artifacts) > 0 && s.Artifacts[0].Digest != "sha256:other" {
					s.Artifacts[0].Digest, changed = "sha256:other", true
				}
			}
			return changed
		})},
		{approved, "an approval that gives itself", func(w *wiring) { w.update = tampering(approveAll) }},
		{newer, "a live release of no change", tamperingWith(func(e *towpath.Environment) bool {
			was := e.Live.Change
			e.Live.Change, e.Goal.Change = 0, 0
			return was != 0
		})},
		{pinned, "a pin that does not hold", func(w *wiring) {
			tamperingWith(unpin)(w)
			w.tune = func(s *scenario) {
				s.shape, s.faults, s.parallel = shape{}, faults{sick: 0.5, restless: 0.2, workerDies: 0.3}, true
				s.pushes, s.trouble = 8, 20*time.Second
			}
		}},
		{frozen, "a freeze that does not hold", tamperingWith(func(e *towpath.Environment) bool {
			was := e.Freeze
			e.Freeze = nil
			return was != nil
		})},
		{turns, "a deployment that tries again instead of going back", tamperingWith(tryAgain)},
		{failed, "a release that failed is asked for again by itself", tamperingWith(askAgain)},
	}
}

func unpin(e *towpath.Environment) bool {
	was := e.Pin
	e.Pin = nil
	return was != nil
}

// approveAll says yes to whatever is asked, in nobody's name.
func approveAll(tx *store.Tx) error {
	waiting, err := tx.Approvals(store.ApprovalFilter{States: []towpath.ApprovalState{towpath.ApprovalWaiting}})
	if err != nil {
		return err
	}
	for _, a := range waiting {
		run, version, err := tx.Run(a.Run)
		if err != nil {
			return err
		}
		_, asked, err := tx.Approval(a.ID)
		if err != nil {
			return err
		}
		a.State = towpath.ApprovalApproved
		next, effects := run.Next(towpath.StepDecided{Step: a.Step, State: a.State, At: a.AskedAt})
		if err := errors.Join(tx.SaveApproval(a, asked), tx.SaveRun(next, version), tx.AddEffects(a.AskedAt, effects...)); err != nil {
			return err
		}
	}
	return nil
}

func retryEverything(run *towpath.Run) (changed bool) {
	for _, s := range run.Steps {
		if s.Kind == towpath.KindRun && s.Script.Retry.Lost == 0 {
			s.Script.Retry.Lost, changed = 3, true
		}
	}
	return changed
}

// tryAgain lets a deployment that goes back tell of it once.
func tryAgain(e *towpath.Environment) bool {
	d := e.Deployment
	if d == nil || d.State != towpath.DeploymentReturning {
		return false
	}
	if d.Reason == "" {
		d.Reason = "it is going back"
		return true
	}
	d.State, e.Goal = towpath.DeploymentRunning, d.Release
	e.Serial++
	return true
}

func askAgain(e *towpath.Environment) bool {
	if e.Deployment != nil || len(e.Failed) == 0 {
		return false
	}
	release := e.Failed[0]
	e.Failed, e.Pin = nil, nil
	next, _ := e.Next(towpath.DeploymentRequested{At: e.LiveAt, Deployment: towpath.Deployment{
		ID: fmt.Sprintf("again-%d", release.Number), Release: release, Cause: towpath.CauseRun,
	}})
	*e = next
	return true
}

func bugsBesideIt() []bug {
	return []bug{
		{once, "an alert that has another key each time", func(w *wiring) {
			w.announcer = func(a flow.Announcer) flow.Announcer { return &forgetfulDesk{Announcer: a} }
		}},
		{tells, "an alert that is lost", func(w *wiring) {
			w.announcer = func(a flow.Announcer) flow.Announcer { return deafDesk{a} }
		}},
		{fenced, "a keeper that is not heard before it looks", func(w *wiring) { w.claims = false }},
		{served, "a change of weights that is carried out once more, some time after", func(w *wiring) {
			w.repeats = 14 * time.Second
			w.tune = func(s *scenario) {
				s.place = place{
					strategy: towpath.StrategyAllAtOnce, balancer: byProxy, instances: 2, requests: time.Second, streams: 2 * time.Second,
					within: 6 * time.Second,
				}
				s.shape, s.faults, s.pushes, s.parallel = shape{}, faults{}, 8, true
			}
		}},
	}
}

type forgetfulDesk struct {
	flow.Announcer
	told int
}

// Announce implements flow.Announcer.
func (d *forgetfulDesk) Announce(ctx context.Context, a towpath.Alert) error {
	d.told++
	a.Key += fmt.Sprint("/", d.told)
	return d.Announcer.Announce(ctx, a)
}

type deafDesk struct{ flow.Announcer }

// Announce implements flow.Announcer.
func (d deafDesk) Announce(ctx context.Context, a towpath.Alert) error {
	if a.Kind == towpath.AlertBroke {
		return nil
	}
	return d.Announcer.Announce(ctx, a)
}

// The stories have to come to the places where it matters, or nothing is proved by their passing.
func TestTheStoriesSeeEveryKindOfTrouble(t *testing.T) {
	var script bytes.Buffer
	for from, count := range map[uint64]int{1: 250, 351: 50} { // a request that nobody decides in time is seldom
		if _, err := Run(t.Context(), Options{From: from, Seeds: count, Script: &script}); err != nil {
			t.Fatal(err)
		}
	}
	for _, trouble := range []string{
		"dies before a commit", "dies after a commit", "disk is full", "gets an older copy", "meanwhile",
		"lost on its way", "is lost", "once more", "freezes for", "dies in its work", "refuses", "nobody hears what became",
		"cannot be read", "crashes by itself", "hangs", "starts again", "a clock jumps to 24h", "sees", "failed (try 5)",
		"it gives up", "roll back", "cancel", "freeze", "thaw", "deploy release", "start a run",
		"repeats run 1: {Failed:false Step: From:}", "repeats run 1: {Failed:true",
		"the goal is reached", "decides on something else", "true", ": false", "halted,", "expired",
		"is gone until", "is back", "is cut off from w2", "has a full disk", "answers late", "goes back from r", "start r",
		"record that step 2 has begun", "promote step 1", "runs the hook before", "runs the hook failed", "a hook was cut off",
		"kind:haproxy", "kind:caddy", "kind:dns", "strategy:rolling", "strategy:canary",
	} {
		if !strings.Contains(script.String(), trouble) {
			t.Errorf("in no story there is %q", trouble)
		}
	}
}
