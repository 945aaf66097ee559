package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
)

// prints writes the log of an attempt, as far as it came.
func (h *house) prints(w *flow.Work, text string) {
	h.t.Helper()
	log := good(h.logs.Create(nameOf(w)))(h.t)
	good(log.Append(0, []byte(text), h.clock.Now()))(h.t)
}

func nameOf(w *flow.Work) steplog.Name {
	return steplog.Name{Run: w.Lease.Run, Step: w.Lease.Step, Attempt: w.Lease.Attempt}
}

func (h *house) hasLog(w *flow.Work) bool {
	h.t.Helper()
	_, err := h.logs.Open(nameOf(w))
	if err != nil && !errors.Is(err, steplog.ErrNotFound) {
		h.t.Fatal(err)
	}
	return err == nil
}

func (h *house) retain() {
	h.t.Helper()
	for more := true; more; {
		more = good(h.Retain(h.t.Context()))(h.t)
	}
}

func TestArtifactsGoFirstThenLogsThenRunsAndWhatIsLiveStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	h.push("Lose a worker")
	lost := m.take("shop")
	h.prints(lost, "half of it\n")
	h.pass(queue.LeaseTime + time.Second)
	again := m.take("shop")
	h.prints(again, "all of it\n")
	h.do(m.report(again, towpath.AttemptPassed, tree("shop", "aa")))
	m.reaches("shop/staging")
	for _, digest := range []string{"bb", "cc"} {
		h.deploys(m, digest, "staging")
		m.reaches("shop/staging")
	}
	failed := h.push("Break it")
	broken := m.take("shop")
	h.prints(broken, "it broke\n")
	h.do(m.report(broken, towpath.AttemptFailed))
	forgotten := func(id string) bool {
		var err error
		_ = h.store.View(t.Context(), func(tx *store.Tx) error { _, _, err = tx.Run(id); return nil })
		return errors.Is(err, store.ErrNotFound)
	}

	h.clock.pass(keep.Logs - time.Hour)
	h.retain()
	if !h.hasLog(broken) || forgotten(failed) {
		t.Fatal("something went before its time")
	}
	h.clock.pass(2 * time.Hour)
	h.retain()
	if h.hasLog(broken) {
		t.Error("the log of an old run is still there")
	}
	h.clock.pass(keep.Runs)
	h.retain()
	if !forgotten(failed) {
		t.Error("an old run that nobody needs is still there")
	}
	if len(h.releases()) != 3 || !h.hasLog(again) || !h.hasLog(lost) {
		t.Errorf("of three releases that the environment can go back to, %d stay", len(h.releases()))
	}

	h.update(func(tx *store.Tx) error { return tx.DeleteEnvironment("shop/staging") })
	h.retain()
	if len(h.runs()) > 0 || h.hasLog(again) || h.hasLog(lost) {
		t.Errorf("%d runs stay, log %t, log of the lost worker %t", len(h.runs()), h.hasLog(again), h.hasLog(lost))
	}
}

func TestAReleaseWhoseArtifactsAreGoneIsNotDeployed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	first, _ := h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.deploys(m, "bb", "staging")
	m.reaches("shop/staging")
	h.update(func(tx *store.Tx) error { return tx.ForgetArtifacts(first) })
	_, err := h.Deploy(t.Context(), "shop/staging", 1, flow.Act{By: "bob", Record: unrecorded})
	wantCode(t, err, towpath.CodeConflict)
	if err == nil || !strings.Contains(err.Error(), "not kept any more (start a run of revision") {
		t.Errorf("it says %v", err)
	}
}

func TestDeliveriesGoAfterTheirTimeAndThoseThatNobodyHasReadStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, oneStep(""))
	arrives := func(key string, outcome towpath.DeliveryOutcome) {
		h.update(func(tx *store.Tx) error {
			_, err := tx.StoreDelivery(store.StoredDelivery{Delivery: towpath.Delivery{
				Project: "shop", Key: key, ArrivedAt: h.clock.Now(), Outcome: outcome,
			}})
			return err
		})
	}
	arrives("old", towpath.DeliveryIgnored)
	arrives("unread", towpath.DeliveryPending)
	h.clock.pass(23 * time.Hour)
	arrives("young", towpath.DeliveryChange)
	h.clock.pass(2 * time.Hour)
	h.retain()
	var left []string
	h.view(func(tx *store.Tx) error {
		found, err := tx.Deliveries(store.DeliveryFilter{Project: "shop"})
		for _, d := range found {
			left = append(left, d.Key)
		}
		return err
	})
	if strings.Join(left, " ") != "young unread" {
		t.Errorf("left are %q", left)
	}
}
