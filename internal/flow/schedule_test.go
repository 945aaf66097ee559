package flow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// nightly runs at night as well.
const nightly = "pipeline: shop\non: {push: true, manual: true, schedule: '30 2 * * *'}\nsteps: [{run: test, script: x}]\n"

// tick lets time go by a minute at a time, with a round of the schedules each.
func (h *house) tick(d time.Duration) {
	h.t.Helper()
	for end := h.clock.Now().Add(d); h.clock.Now().Before(end); {
		h.clock.pass(min(time.Minute, end.Sub(h.clock.Now())))
		h.fire()
	}
}

// fire has one round of the schedules, and makes runs of what is due.
func (h *house) fire() {
	h.t.Helper()
	for more := true; more; {
		more = good(h.Rounds().FireSchedules(h.t.Context()))(h.t)
	}
	h.take()
	h.settle()
}

// scheduled answers the times at which runs of a pipeline were started by the clock, the oldest first.
func (h *house) scheduled(pipeline string) []string {
	h.t.Helper()
	var times []string
	for _, run := range h.runs() {
		if run.Pipeline == pipeline && run.Change.Trigger == towpath.TriggerSchedule {
			times = append(times, run.Change.SeenAt.UTC().Format("02 15:04"))
		}
	}
	slices.Reverse(times)
	return times
}

func (h *house) wantScheduled(pipeline string, want ...string) {
	h.t.Helper()
	if got := h.scheduled(pipeline); !slices.Equal(got, want) {
		h.t.Fatalf("%s ran at %q, want %q", pipeline, got, want)
	}
}

func TestAScheduleStartsTheDefaultBranchAsItIsThen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nightly) // 1 November 2026, 09:00 in UTC
	h.write(".towpath/reports.yaml", "on: {schedule: [{cron: '0 3 * * *', zone: Europe/Vienna}, '0 2 * * *']}\nsteps: [{run: report, script: x, when: changed('never/**')}]\n")
	h.commit("Report every night")
	h.poll()
	h.tick(18 * time.Hour)
	h.wantScheduled("shop", "02 02:30")
	h.wantScheduled("reports", "02 02:00") // two schedules that name the same time
	pushed := h.commit("Sell more tea")
	h.poll()
	h.tick(24 * time.Hour)
	h.wantScheduled("shop", "02 02:30", "03 02:30")
	change := h.changes()[0].Change
	if change.Revision != pushed || !change.Trusted || change.Branch != "main" || !slices.Equal(change.Pipelines, []string{"shop"}) {
		t.Errorf("the change is %+v", change)
	}
	run := h.runs()[0]
	if run.Change.Files != nil || run.Change.Author != "Ada" {
		t.Errorf("the run's change is %+v", run.Change)
	}
}

func TestAScheduleIsAdoptedFromTheTipAndRemovedWithItsKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.poll()
	old := h.git("rev-parse", "HEAD")
	h.git("checkout", "-q", "-b", "idea")
	h.write("towpath.yaml", nightly)
	h.commit("Run at night, on a branch")
	h.poll()
	if known := h.schedules(); len(known) > 0 {
		t.Fatalf("of a branch that is not the default one: %+v", known)
	}

	h.git("checkout", "-q", "main")
	h.write("towpath.yaml", strings.ReplaceAll(nightly, "push: true", "push: {paths: [never]}"))
	h.commit("Run at night")
	h.poll()
	h.wantChange(store.ChangeIgnored) // and its schedules count all the same
	if known := h.schedules(); len(known) != 1 || known[0].Next.Format("02 15:04") != "02 02:30" {
		t.Fatalf("the schedules are %+v", known)
	}
	good(h.start(flow.Wish{Revision: old}))(t) // whose file has none
	if known := h.schedules(); len(known) != 1 {
		t.Errorf("after a run of an older revision: %+v", known)
	}
	h.tick(10 * time.Hour)
	before := h.schedules()[0]
	h.write("readme", "more")
	h.commit("Something else")
	h.poll()
	if after := h.schedules()[0]; after != before {
		t.Errorf("a push that leaves it as it is makes %+v of %+v", after, before)
	}

	h.write("towpath.yaml", "pipeline: shop\nsteps: [{rum: test}]\n")
	h.commit("Break the file")
	h.poll()
	h.tick(10 * time.Hour)
	if change := h.wantChange(store.ChangeFailed); change.Change.Trigger != towpath.TriggerSchedule || !strings.Contains(change.Reason, "rum") {
		t.Errorf("with a file that cannot be read: %+v", change)
	}
	h.write("towpath.yaml", scripts)
	h.commit("No more nights")
	h.poll()
	if known := h.schedules(); len(known) > 0 {
		t.Errorf("the schedules are %+v", known)
	}
}

func (h *house) schedules() (known []store.Schedule) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		known, err = tx.Schedules(h.project.ID)
		return err
	})
	return known
}

func TestARepositoryWithoutPipelineFilesHasNoSchedules(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nightly)
	h.poll()
	h.git("rm", "-q", "towpath.yaml")
	h.commit("No more pipelines")
	h.poll()
	h.wantChange(store.ChangeFailed)
	if known := h.schedules(); len(known) > 0 {
		t.Errorf("the schedules are %+v", known)
	}
}

func TestWhatWasMissedHappensOnceAndNotWhilePaused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nightly)
	h.poll()
	h.clock.pass(100 * time.Hour) // nobody looks
	h.fire()
	h.wantScheduled("shop", "05 13:00")
	h.fire()
	h.tick(14 * time.Hour)
	h.wantScheduled("shop", "05 13:00", "06 02:30")

	h.setProject(func(p *towpath.Project) { p.Paused = true })
	h.tick(30 * time.Hour)
	h.setProject(func(p *towpath.Project) { p.Paused = false })
	h.tick(12 * time.Hour)
	h.wantScheduled("shop", "05 13:00", "06 02:30")
	h.tick(12 * time.Hour)
	h.wantScheduled("shop", "05 13:00", "06 02:30", "08 02:30")
}

func TestAServerThatDiesFiresEachTimeOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nightly)
	h.poll()
	h.clock.pass(18 * time.Hour)
	due := h.schedules()
	good(h.Rounds().FireSchedules(t.Context()))(t)
	h.update(func(tx *store.Tx) error { return tx.SaveSchedule(due[0]) }) // as if that had not been stored
	h.fire()
	h.wantScheduled("shop", "02 03:00")
}

func TestAClockThatIsSetBackDoesNotStopASchedule(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nightly)
	h.poll()
	h.tick(48 * time.Hour)
	h.wantScheduled("shop", "02 02:30", "03 02:30")
	h.clock.pass(-trigger.SetBack / 2)
	h.tick(time.Hour)
	h.wantScheduled("shop", "02 02:30", "03 02:30")
	h.clock.pass(-24 * time.Hour)
	h.tick(24 * time.Hour)
	h.wantScheduled("shop", "02 02:30", "03 02:30", "03 02:30")
}
