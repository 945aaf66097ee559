package flow_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("30") // each is hundreds of commits to a real disk
	}
	os.Exit(m.Run())
}

// Whatever workers, keepers, people, crashes and the clock do, in whatever order, in the end every run has ended, nothing
// is left to do, and nothing happened twice.
func TestPropertyEveryInterleavingComesToOneOutcome(t *testing.T) {
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	revisions := []string{h.git("rev-parse", "HEAD")}
	for i := range 4 {
		revisions = append(revisions, h.commit(fmt.Sprint("Change ", i)))
	}
	h.options.Repositories = &remembered{Repositories: h.options.Repositories, known: map[string]reading{}}
	machines := []*machine{h.newMachine("one"), h.newMachine("two")}
	rapid.Check(t, func(t *rapid.T) {
		m := &mayhem{t: t, house: h, machines: machines, revisions: revisions}
		m.begin()
		for range rapid.IntRange(10, 70).Draw(t, "actions") {
			actions := m.mischief()
			if rapid.IntRange(0, 2).Draw(t, "mischief") < 2 {
				actions = m.progress()
			}
			rapid.SampledFrom(actions).Draw(t, "action").do(t)
		}
		m.calmDown()
		m.check()
	})
}

// action is something that happens, with its name for whoever reads a failure.
type action struct {
	name string
	do   func(*rapid.T)
}

// String is the action's name.
func (a action) String() string { return a.name }

// progress is what usually happens.
func (m *mayhem) progress() []action {
	return []action{
		{"a step passes", m.onePasses},
		{"effects are carried out", m.carry},
		{"a keeper reaches its goal", m.oneReaches},
		{"a person approves", m.oneApproves},
	}
}

// mischief is what else can happen.
func (m *mayhem) mischief() []action {
	return []action{
		{"a push", m.push},
		{"changes are looked at", m.look},
		{"an effect is carried out before others", m.carryOne},
		{"an effect is carried out again", m.carryAgain},
		{"the server dies", m.die},
		{"a worker takes a step", m.work},
		{"a worker reports", m.reportOne},
		{"a worker renews", m.renew},
		{"a worker dies", m.loseWorker},
		{"a keeper calls", m.keep},
		{"a keeper reports", m.keeperReports},
		{"a keeper restarts", m.restart},
		{"a person decides", m.personDecides},
		{"a person cancels", m.cancel},
		{"a person rolls back", m.rollback},
		{"a person deploys", m.deploy},
		{"time passes", m.time},
	}
}

func (m *mayhem) onePasses(*rapid.T) {
	w, err := m.LeaseStep(m.ctx(), m.machines[0].stepCall(), 0)
	m.try(err)
	if w != nil {
		m.reports(w, towpath.AttemptPassed)
	}
}

func (m *mayhem) oneApproves(*rapid.T) {
	for _, a := range m.waiting() {
		if step, _ := m.run(a.Run).Step(a.Step); step.State == towpath.StepWaiting {
			m.decides(a, true)
			return
		}
	}
}

// oneReaches lets both keepers call, and those that deploy succeed.
func (m *mayhem) oneReaches(*rapid.T) {
	for _, machine := range m.machines {
		machine.keepsAs(m.house)
		for _, key := range slices.Sorted(maps.Keys(machine.orders)) {
			if e := m.environment(key); e.Deployment != nil && e.Epoch == machine.orders[key].Environment.Epoch {
				m.concludes(e, false)
			}
		}
	}
}

// remembered answers what a repository said before: a commit never changes.
type remembered struct {
	flow.Repositories
	known map[string]reading
}

type reading struct {
	change towpath.Change
	files  map[string][]byte
}

func (r *remembered) Read(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error) {
	if known, ok := r.known[c.Revision]; ok {
		c.Author, c.AuthorEmail, c.Message, c.Files = known.change.Author, known.change.AuthorEmail, known.change.Message, known.change.Files
		return c, known.files, nil
	}
	c, files, err := r.Repositories.Read(ctx, p, c)
	if err == nil {
		r.known[c.Revision] = reading{c, files}
	}
	return c, files, err
}

// mayhem is one interleaving, in a project of its own.
type mayhem struct {
	t *rapid.T
	*house
	machines  []*machine
	revisions []string
	pushed    int
	held      []*flow.Work
	stale     []flow.Order // of keepers before
	carried   []towpath.Effect
}

func (m *mayhem) begin() {
	m.held, m.pushed = nil, 0
	m.Conductor = flow.New(m.options)
	m.try(m.Resume(m.house.t.Context()))
	for _, machine := range m.machines {
		machine.restart()
	}
	m.update(func(tx *store.Tx) error {
		if err := tx.DeleteProject(m.project.ID); err != nil {
			return err
		}
		return tx.CreateProject(m.project)
	})
	m.push(m.t)
}

// try fails where something went wrong that is no refusal.
func (m *mayhem) try(err error) {
	m.t.Helper()
	switch towpath.CodeOf(err) {
	case towpath.CodeConflict, towpath.CodeStale, towpath.CodeForbidden, towpath.CodeNotFound:
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mayhem) ctx() context.Context { return m.house.t.Context() }

func (m *mayhem) push(t *rapid.T) {
	if m.pushed == len(m.revisions) {
		return
	}
	revision := m.revisions[m.pushed]
	m.pushed++
	m.update(func(tx *store.Tx) error {
		_, err := tx.RecordChange(towpath.Change{
			Project: m.project.ID, Branch: "main", Revision: revision, Trigger: towpath.TriggerPush, Trusted: true, SeenAt: m.clock.Now(),
		}, "")
		return err
	})
	if rapid.Bool().Draw(t, "look") {
		m.look(t)
	}
}

func (m *mayhem) look(*rapid.T) {
	_, err := m.TakeChanges(m.ctx())
	m.try(err)
}

func (m *mayhem) due() (due []store.DueEffect) {
	m.view(func(tx *store.Tx) (err error) {
		due, err = tx.DueEffects(m.clock.Now().Add(time.Hour), 0)
		return err
	})
	return due
}

// carryOne carries out any effect, also before those that arose before it, as happens when those fail once.
func (m *mayhem) carryOne(t *rapid.T) {
	if due := m.due(); len(due) > 0 {
		d := rapid.SampledFrom(due).Draw(t, "effect")
		m.try(m.Try(m.ctx(), d))
		m.carried = append(m.carried, d.Effect)
	}
}

// carryAgain carries out an effect that was carried out before, as a server would that looked before that.
func (m *mayhem) carryAgain(t *rapid.T) {
	if len(m.carried) > 0 {
		m.try(m.CarryOut(m.ctx(), rapid.SampledFrom(m.carried).Draw(t, "effect")))
	}
}

func (m *mayhem) carry(*rapid.T) {
	for _, d := range m.due() {
		m.carried = append(m.carried, d.Effect)
	}
	_, err := m.CarryOutDue(m.ctx())
	m.try(err)
}

// die ends the server, perhaps with an effect between two commits, and starts it again.
func (m *mayhem) die(t *rapid.T) {
	if due := m.due(); len(due) > 0 {
		killed, kill := context.WithCancelCause(m.ctx())
		kill(errKilled)
		_ = m.CarryOut(killed, rapid.SampledFrom(due).Draw(t, "effect").Effect)
	}
	m.clock.pass(time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds")) * time.Second)
	m.Conductor = flow.New(m.options)
	m.try(m.Resume(m.ctx()))
}

func (m *mayhem) machine(t *rapid.T) *machine {
	return rapid.SampledFrom(m.machines).Draw(t, "machine")
}

func (m *mayhem) work(t *rapid.T) {
	machine := m.machine(t)
	w, err := m.LeaseStep(m.ctx(), machine.stepCall(), 0)
	m.try(err)
	switch {
	case w == nil:
	case rapid.IntRange(0, 4).Draw(t, "is the answer lost") == 0:
	default:
		machine.answered++
		m.held = append(m.held, w)
	}
}

// anyHeld answers an attempt that a worker works on, or thinks it does.
func (m *mayhem) anyHeld(t *rapid.T) *flow.Work {
	if len(m.held) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.held).Draw(t, "attempt")
}

func (m *mayhem) reportOne(t *rapid.T) {
	if w := m.anyHeld(t); w != nil {
		states := []towpath.AttemptState{towpath.AttemptPassed, towpath.AttemptPassed, towpath.AttemptPassed, towpath.AttemptFailed, towpath.AttemptCanceled}
		m.reports(w, rapid.SampledFrom(states).Draw(t, "state"))
	}
}

// reports may come again: the attempt stays among those held.
func (m *mayhem) reports(w *flow.Work, state towpath.AttemptState) {
	var made []towpath.Artifact
	if w.Step.Kind == towpath.KindBuild {
		made = []towpath.Artifact{tree(w.Step.Name, fmt.Sprint(w.Run.Number))}
	}
	m.try(m.ReportStep(m.ctx(), w.Lease, towpath.StepReported{State: state, Artifacts: made}, store.Log{}))
}

func (m *mayhem) renew(t *rapid.T) {
	if w := m.anyHeld(t); w != nil {
		_, _, err := m.RenewStep(m.ctx(), w.Lease)
		m.try(err)
	}
}

func (m *mayhem) loseWorker(t *rapid.T) {
	if w := m.anyHeld(t); w != nil {
		m.held = slices.DeleteFunc(m.held, func(h *flow.Work) bool { return h == w })
	}
}

func (m *mayhem) keep(t *rapid.T) { m.machine(t).keepsAs(m.house) }

// keepsAs asks for environments at the server as it is now: it may have been started again.
func (m *machine) keepsAs(h *house) {
	m.house = h
	m.keeps()
}

func (m *mayhem) restart(t *rapid.T) {
	machine := m.machine(t)
	m.stale = slices.AppendSeq(m.stale, maps.Values(machine.orders))
	machine.restart()
}

// keeperReports reports on any order that was ever given.
func (m *mayhem) keeperReports(t *rapid.T) {
	orders := slices.Clone(m.stale)
	for _, machine := range m.machines {
		orders = slices.AppendSeq(orders, maps.Values(machine.orders))
	}
	orders = slices.DeleteFunc(orders, func(o flow.Order) bool { return o.Environment.Deployment == nil })
	slices.SortFunc(orders, func(a, b flow.Order) int { return a.Environment.Serial - b.Environment.Serial })
	if len(orders) > 0 {
		e := orders[rapid.IntRange(0, len(orders)-1).Draw(t, "order")].Environment
		m.concludes(e, rapid.IntRange(0, 3).Draw(t, "fails") == 0)
	}
}

func (m *mayhem) concludes(e towpath.Environment, fails bool) {
	_, err := m.Reported(m.ctx(), e.Key, flow.Report{Epoch: e.Epoch, Event: func(at time.Time) towpath.EnvironmentEvent {
		if fails {
			return towpath.GoalFailed{Epoch: e.Epoch, Deployment: e.Deployment.ID, Returning: e.Deployment.IsReturning(), Reason: "it does not start", At: at}
		}
		return towpath.GoalReached{Epoch: e.Epoch, Deployment: e.Deployment.ID, Returning: e.Deployment.IsReturning(), At: at}
	}})
	m.try(err)
}

func (m *mayhem) waiting() (waiting []towpath.Approval) {
	m.view(func(tx *store.Tx) (err error) {
		waiting, err = tx.Approvals(store.ApprovalFilter{States: []towpath.ApprovalState{towpath.ApprovalWaiting}})
		return err
	})
	return waiting
}

func (m *mayhem) personDecides(t *rapid.T) {
	if waiting := m.waiting(); len(waiting) > 0 {
		a := rapid.SampledFrom(waiting).Draw(t, "approval")
		m.decides(a, rapid.IntRange(0, 4).Draw(t, "no") > 0)
	}
}

func (m *mayhem) decides(a towpath.Approval, approved bool) {
	_, err := m.Decide(m.ctx(), a.ID, a.Intent, towpath.Decision{Account: "mira", Approved: approved}, unrecorded)
	m.try(err)
}

func (m *mayhem) cancel(t *rapid.T) {
	if runs := m.runs(); len(runs) > 0 {
		run := rapid.SampledFrom(runs).Draw(t, "run")
		_, err := m.Cancel(m.ctx(), run.ID, flow.Act{By: "bob", Record: unrecorded})
		m.try(err)
	}
}

var places = []string{"shop/staging", "shop/production"}

func (m *mayhem) rollback(t *rapid.T) {
	_, err := m.Rollback(m.ctx(), rapid.SampledFrom(places).Draw(t, "environment"), 0, flow.Act{By: "bob", Record: unrecorded})
	m.try(err)
}

func (m *mayhem) deploy(t *rapid.T) {
	_, err := m.Deploy(m.ctx(), rapid.SampledFrom(places).Draw(t, "environment"), rapid.IntRange(1, 3).Draw(t, "release"),
		flow.Act{By: "bob", Record: unrecorded})
	m.try(err)
}

func (m *mayhem) time(t *rapid.T) {
	for range rapid.IntRange(1, 15).Draw(t, "seconds") {
		m.clock.pass(time.Second)
		_, err := m.Sweep(m.ctx())
		m.try(err)
	}
}
