package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

func TestARollbackGoesToAnyKnownReleaseWithItsLengthShownBeforehand(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	for range 3 {
		h.releases(w, cleo, "shop")
	}
	const production = "shop/production"
	e, err := cleo.Environment(t.Context(), production)
	must(t, err)
	if len(e.Known) != 2 || e.Known[0] != 1 || e.Known[1] != 2 {
		t.Fatalf("known are %v", e.Known)
	}
	plan, err := cleo.PlanBack(t.Context(), production, 1)
	must(t, err)
	if plan.Goal != 1 || plan.Seconds != 0 || !strings.Contains(plan.Length, "not known") {
		t.Errorf("the plan is %+v", plan)
	}
	if _, err := cleo.PlanBack(t.Context(), production, 3); codeOf(err) != string(towpath.CodeConflict) {
		t.Errorf("a plan to what is live answers %v", err)
	}

	_, err = cleo.Freeze(t.Context(), production, "the sale", time.Time{})
	must(t, err)
	h.asks(cleo.token, "/environments/"+production).wants(t, http.StatusOK, `?rollback=1#plan"`, "length: not known")
	h.asks(cleo.token, "/environments/"+production+"?rollback=1").wants(t, http.StatusOK, `name="to" value="1"`, "length: not known", "goal: release 1")
	h.asks(cleo.token, "/environments/"+production+"?rollback=3").wants(t, http.StatusConflict)
	h.asks(cleo.token, "/environments/"+production+"?rollback=one").wants(t, http.StatusUnprocessableEntity)
	h.asks(cleo.token, "/environments/"+production+"/rollback", "to", "1", "reason", "slow").wants(t, http.StatusSeeOther)
	order := w.orders(production)
	if d := order.Environment.Deployment; order.Environment.Goal.Number != 1 || d.Cause != towpath.CauseRollback || d.Reason != "slow" {
		t.Fatalf("under way is %+v", d)
	}
	began := time.Now().Add(-3 * time.Second)
	entry := func(operation string, after, took time.Duration) towpath.JournalEntry {
		return towpath.JournalEntry{Deployment: order.Environment.Deployment.ID, Operation: operation, Began: began.Add(after), Ended: began.Add(after + took)}
	}
	_, err = w.ReportKept(t.Context(), production, client.KeeperReport{
		Epoch: order.Environment.Epoch, Event: "reached", Deployment: order.Environment.Deployment.ID,
		Observation: &towpath.Observation{Instances: []towpath.Instance{}},
		Journal: []towpath.JournalEntry{
			entry("check that it can be placed", 0, 100*time.Millisecond), entry("place r1-2 of release 1", 100*time.Millisecond, 400*time.Millisecond), entry("start r1-2", time.Second, time.Second),
			entry("probe r1-2", 2*time.Second, 500*time.Millisecond), entry("shift r1-2 to 100%", 2500*time.Millisecond, 50*time.Millisecond),
		},
	})
	must(t, err)
	must(t, h.thaws(cleo, production))
	_, err = cleo.Deploy(t.Context(), production, client.Deploy{Release: 2})
	must(t, err)
	order = w.orders(production)
	_, err = w.ReportKept(t.Context(), production, client.KeeperReport{
		Epoch: order.Environment.Epoch, Event: "reached", Deployment: order.Environment.Deployment.ID, Observation: &towpath.Observation{Instances: []towpath.Instance{}},
	})
	must(t, err)
	plan, err = cleo.PlanBack(t.Context(), production, 0)
	must(t, err)
	if plan.Goal != 1 || plan.Seconds < 1 || plan.Seconds > 3 || plan.LastSeconds <= 0 || !strings.HasPrefix(plan.Length, "about ") || !strings.Contains(plan.Length, "; last time ") {
		t.Errorf("the plan is %v: %+v", plan.Operations, plan)
	}
}

func (h *house) thaws(p person, environment string) error {
	_, err := p.Thaw(h.Context(), environment)
	return err
}
