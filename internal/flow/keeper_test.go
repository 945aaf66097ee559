package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestEveryNewHolderRaisesTheEpochAndTheOldOneIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.keeps()
	first := m.orders["shop/staging"].Environment
	if first.Epoch.Number != 1 || first.Keeper.Worker != "worker" || !first.UnattendedSince.IsZero() {
		t.Fatalf("leased as %+v", first)
	}
	m.restart()
	m.keeps()
	second := m.orders["shop/staging"].Environment
	if second.Epoch.Number != 2 || second.Epoch.Holder == first.Epoch.Holder {
		t.Fatalf("the epoch is %s after %s", second.Epoch, first.Epoch)
	}

	reached := func(at time.Time) towpath.EnvironmentEvent {
		return towpath.GoalReached{Epoch: first.Epoch, Deployment: first.Deployment.ID, Returning: first.Deployment.IsReturning(), At: at}
	}
	seen := towpath.Observation{Address: "127.0.0.1:1"}
	_, err := h.Reported(t.Context(), "shop/staging", flow.Report{Epoch: first.Epoch, Observed: &seen, Event: reached})
	wantCode(t, err, towpath.CodeStale)
	h.view(func(tx *store.Tx) error {
		if _, known, err := tx.Observation("shop/staging"); known || err != nil {
			t.Errorf("what a stale keeper saw was taken: %v", err)
		}
		return nil
	})
	if e := h.environment("shop/staging"); e.Live.Number != 0 {
		t.Errorf("a stale keeper made release %d live", e.Live.Number)
	}
}

func TestAnEpochThatTargetsHaveSeenIsPassedByTheNext(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	kept := []flow.Kept{{Environment: "shop/staging", Serial: -1, Observed: towpath.Epoch{Number: 41, Holder: "of a lost database"}}}
	keeping := good(m.Keep(t.Context(), m.worker, m.holder, kept, 0))(t)
	if len(keeping.Orders) != 1 || keeping.Orders[0].Environment.Epoch.Number != 42 {
		t.Errorf("the orders are %+v", keeping.Orders)
	}
}

func TestAKeeperThatIsNotHeardOfIsLostAndItsMachineStaysTied(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	h.pass(queue.LeaseTime - time.Second)
	if e := h.environment("shop/staging"); e.Keeper.Worker != "worker" {
		t.Fatal("the keeper was lost before its time")
	}
	h.pass(2 * time.Second)
	if e := h.environment("shop/staging"); e.Keeper.Worker != "" || e.UnattendedSince.IsZero() {
		t.Fatalf("the keeper is %+v, unattended since %s", e.Keeper, e.UnattendedSince)
	}
	other := h.newMachine("other")
	if keeping := other.keeps(); len(keeping.Orders) > 0 {
		t.Errorf("another machine was given %+v, whose instances run elsewhere", keeping.Orders)
	}
	m.keeps()
	if e := h.environment("shop/staging"); e.Keeper.Worker != "worker" {
		t.Error("its own machine cannot come back")
	}
}

func TestAKeeperThatIsRenewedStaysAndCostsFewCommits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	m.keeps()
	before := h.version("shop/staging")
	for range 15 { // a minute
		h.pass(4 * time.Second)
		if keeping := m.keeps(); len(keeping.Orders)+len(keeping.Lost) > 0 {
			t.Fatalf("without news the keeper heard %+v", keeping)
		}
	}
	if commits := h.version("shop/staging") - before; commits > 8 {
		t.Errorf("%d commits in a minute of 15 polls", commits)
	}
}

func TestNewsDoNotWaitForALeaseThatCouldBeRenewed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	m.keeps()
	h.pass(queue.LeaseTime/2 + time.Second)
	h.toStaging(m, "Two", "bb")
	before := h.version("shop/staging")
	if keeping := m.keeps(); len(keeping.Orders) != 1 || h.version("shop/staging") != before {
		t.Errorf("%d commits before %+v was told", h.version("shop/staging")-before, keeping)
	}
	if m.keeps(); h.version("shop/staging") != before+1 {
		t.Errorf("the next call renewed the lease by %d commits", h.version("shop/staging")-before)
	}
	m.reaches("shop/staging")
	h.pass(queue.LeaseTime - time.Second)
	h.toStaging(m, "Three", "cc")
	before = h.version("shop/staging")
	if m.keeps(); h.version("shop/staging") != before+1 {
		t.Error("a lease that is nearly over was not renewed")
	}
}

func TestALeaseIsRenewedInTheMidstOfACallThatWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	m.keeps()
	before, expires := h.version("shop/staging"), m.keeps().Expires
	h.clock.pass(queue.LeaseTime/2 - 50*time.Millisecond)
	answered := make(chan flow.Keeping, 1)
	go func() { answered <- m.waits(time.Hour) }()
	h.clock.pass(100 * time.Millisecond)
	if keeping := <-answered; !keeping.Expires.After(expires) || h.version("shop/staging") != before+1 {
		t.Errorf("%d commits, and the lease lasts until %s", h.version("shop/staging")-before, keeping.Expires)
	}
}

// version counts the commits of an environment.
func (h *house) version(key string) (version int) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		_, version, err = tx.Environment(key)
		return err
	})
	return version
}

// addEnvironment adds one that is tied to no machine.
func (h *house) addEnvironment(name string, secrets ...string) string {
	h.t.Helper()
	e := towpath.NewEnvironment(h.project.ID, "shop", towpath.EnvironmentDefinition{Name: name, Secrets: secrets}, h.clock.Now())
	h.update(func(tx *store.Tx) error { return tx.CreateEnvironment(e) })
	return e.Key
}

func TestAfterAnOutageAKeeperIsAwaitedBeforeAnotherTakesOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	key := h.addEnvironment("cluster")
	m, other := h.newMachine("worker"), h.newMachine("other")
	m.keeps()
	h.clock.pass(10 * time.Minute) // the server was stopped
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(t.Context()))
	if keeping := other.keeps(); len(keeping.Orders) > 0 {
		t.Fatal("another took the environment before its keeper could call")
	}
	h.pass(4 * time.Second)
	m.keeps()
	if e := h.environment(key); e.Keeper.Worker != "worker" || e.Epoch.Number != 1 {
		t.Errorf("after the outage %s is kept by %q under epoch %s", key, e.Keeper.Worker, e.Epoch)
	}
	h.pass(queue.LeaseTime + time.Second)
	if keeping := other.keeps(); len(keeping.Orders) != 1 || keeping.Orders[0].Environment.Epoch.Number != 2 {
		t.Errorf("a keeper that is gone was not followed: %+v", keeping)
	}
}

func TestAnEnvironmentWhoseSecretIsMissingHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	poor, rich := h.addEnvironment("poor", "DATABASE_URL"), h.addEnvironment("rich")
	keeping := m.keeps()
	if len(keeping.Orders) != 1 || keeping.Orders[0].Environment.Key != rich {
		t.Errorf("the orders are %+v", keeping.Orders)
	}
	if doing := h.Doing(poor); !strings.Contains(doing, "there is no secret DATABASE_URL") {
		t.Errorf("%s says %q", poor, doing)
	}
}

func TestAKeeperThatLeavesGivesItsEnvironmentsBackAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	key := h.addEnvironment("cluster")
	m, other := h.newMachine("worker"), h.newMachine("other")
	m.keeps()
	h.do(h.Leave(t.Context(), "worker", []string{key}))
	if keeping := other.keeps(); len(keeping.Orders) != 1 {
		t.Errorf("nobody followed: %+v", keeping)
	}
	m.keeps()
	if _, kept := m.orders[key]; kept {
		t.Error("the first keeper does not learn that it lost the environment")
	}
	h.do(h.Leave(t.Context(), "worker", []string{key})) // again: it is another's by now
	if e := h.environment(key); e.Keeper.Worker != "other" {
		t.Errorf("it is kept by %q", e.Keeper.Worker)
	}
}

func TestAnEnvironmentThatWasRemovedIsLostByItsKeeper(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	key := h.addEnvironment("cluster")
	m := h.newMachine("worker")
	m.keeps()
	h.update(func(tx *store.Tx) error { return tx.DeleteEnvironment(key) })
	if keeping := m.keeps(); len(keeping.Lost) != 1 || keeping.Lost[0] != key {
		t.Errorf("it heard %+v", keeping)
	}
}
