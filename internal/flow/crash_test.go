package flow_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/alert"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// errKilled ends a carrying out between two commits.
var errKilled = errors.New("killed")

// settleWithCrashes carries out every effect twice: a server that was killed after an effect finds it again, and so does
// one that began from an older view.
func (h *house) settleWithCrashes() {
	h.t.Helper()
	for range 40 {
		var due []store.DueEffect
		h.view(func(tx *store.Tx) (err error) {
			due, err = tx.DueEffects(h.clock.Now(), 0)
			return err
		})
		if len(due) == 0 {
			return
		}
		for _, d := range due {
			killed, kill := context.WithCancelCause(h.t.Context())
			kill(errKilled)
			_ = h.CarryOut(killed, d.Effect) // it may have come to the commit, or not
			h.Conductor = flow.New(h.options)
			if err := h.CarryOut(h.t.Context(), d.Effect); err != nil {
				wantCode(h.t, err, towpath.CodeStale)
			}
			wantCode(h.t, h.CarryOut(h.t.Context(), d.Effect), towpath.CodeStale)
		}
	}
	h.t.Fatal("effects do not come to an end")
}

func TestWhateverIsCarriedOutTwiceHappensOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	crash := func(err error) {
		t.Helper()
		h.do(err)
		h.settleWithCrashes()
	}
	revision := h.commit("Sell more tea")
	h.do(h.poller.Poll(t.Context(), h.project))
	h.take()
	run := h.runOf(revision).ID
	report := func(step string, artifacts ...towpath.Artifact) {
		t.Helper()
		w := m.take(step)
		crash(m.ReportStep(t.Context(), w.Lease, towpath.StepReported{State: towpath.AttemptPassed, Artifacts: artifacts}, store.Log{}))
	}
	report("shop", tree("shop", "aa"))
	report("unit")
	m.reachesUnsettled("shop/staging")
	h.settleWithCrashes()
	a := h.approval(run, "release")
	_, err := h.Decide(t.Context(), a.ID, a.Intent, towpath.Decision{Account: "mira", Approved: true}, unrecorded)
	crash(err)
	m.reachesUnsettled("shop/production")
	h.settleWithCrashes()

	h.wantRun(run, towpath.RunPassed)
	if releases := h.releases(); len(releases) != 1 {
		t.Errorf("%d releases of one run of one set of artifacts", len(releases))
	}
	for _, key := range []string{"shop/staging", "shop/production"} {
		if deployments := h.deployments(key); len(deployments) != 1 || len(h.environment(key).History) != 1 {
			t.Errorf("%s had %d deployments", key, len(deployments))
		}
	}
	if keys := keysOf(h.receiver.of(towpath.AlertApproval)); len(keys) != 1 {
		t.Errorf("people were asked under the keys %v", keys)
	}
}

// keysOf answers the different keys of deliveries.
func keysOf(deliveries []delivery) []string {
	var keys []string
	for _, d := range deliveries {
		keys = append(keys, d.key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func TestAServerThatDiesWhilePeopleAreToldTellsThemAgainUnderTheSameKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Break it")
	var keys []string
	dying := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Towpath-Delivery"))
		if len(keys) == 1 {
			h.do(h.store.Close()) // after the delivery, before the tick
		}
	}))
	t.Cleanup(dying.Close)
	h.options.Announcer = alert.NewDesk(h.clock.Now, h.options.Log, alert.NewWebhook(dying.URL, ""))
	h.Conductor = flow.New(h.options)
	w := m.take("shop")
	h.do(m.ReportStep(t.Context(), w.Lease, towpath.StepReported{State: towpath.AttemptFailed, Reason: "exit 1"}, store.Log{}))
	if _, err := h.AnnounceDue(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("it goes on with %v", err)
	}

	h.open(h.path)
	h.options.Store = h.store
	h.Conductor = flow.New(h.options)
	h.settle()
	h.clock.pass(time.Hour)
	h.settle()
	if len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
		t.Errorf("people were told under %v", keys)
	}
	h.wantRun(run, towpath.RunFailed)
}

func TestAReceiverThatRefusesIsAskedAgainLaterAndDelaysNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.receiver.answers(http.StatusBadGateway)
	m := h.newMachine("worker")
	run := h.toApproval(m, "Sell more tea", "aa") // the deployment's alert fails, and the run goes on
	failed := len(h.receiver.of(towpath.AlertApproval))
	if failed != 1 {
		t.Fatalf("the receiver was asked %d times at once", failed)
	}
	h.settle()
	if again := len(h.receiver.of(towpath.AlertApproval)); again != 1 {
		t.Errorf("it was asked %d times within a second", again)
	}
	h.receiver.answers(http.StatusOK)
	h.pass(3 * time.Second)
	h.pass(time.Minute)
	asked := h.receiver.of(towpath.AlertApproval)
	if len(asked) != 2 || asked[0].key != asked[1].key {
		t.Errorf("it was asked under %v", asked)
	}
	h.wantStep(run, "release", towpath.StepWaiting)
}
