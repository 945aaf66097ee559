package web_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// deploymentIn answers what an environment deploys now.
func (h *house) deploymentIn(key string) *towpath.Deployment {
	h.Helper()
	var e towpath.Environment
	must(h.T, h.store.View(h.Context(), func(tx *store.Tx) (err error) {
		e, _, err = tx.Environment(key)
		return err
	}))
	return e.Deployment
}

func TestACanaryIsPromotedAndAbortedFromItsPage(t *testing.T) {
	h := newHouse(t)
	h.makes(canaryAt(0), canaryAt(1), canaryAt(2))
	b := h.browser()
	b.signsIn(h.person("boss", "administrator", ""))

	b.opens("/environments/shop/canary-0")
	b.sees("[role=status]", "at 5%, step 1 of 3")
	b.sees("[sse-swap=facts]", "then 25% of new requests")
	b.clicks("give release 42 25% of new requests now")
	if d := h.deploymentIn("shop/canary-0"); d.PromotedBy != "boss" || d.CanaryStep != 0 {
		t.Errorf("the first step was promoted: %+v", d)
	}

	b.opens("/environments/shop/canary-1")
	b.sees("[sse-swap=facts]", "until a person lets it go on; then 50% of new requests")
	b.clicks("give release 42 50% of new requests")
	b.sees("[role=status]", "release 42 is on its way")
	if n := b.counts("form[action$=promote]"); n != 0 {
		t.Error("what was promoted has the button still")
	}
	if d := h.deploymentIn("shop/canary-1"); d.PromotedBy != "boss" {
		t.Errorf("the second step was promoted: %+v", d)
	}

	b.opens("/environments/shop/canary-2")
	b.sees("[sse-swap=actions]", "give release 42 all new requests now")
	b.sees("[sse-swap=actions]", "length: ")
	b.does(chromedp.SendKeys("#rollback-reason", "carts are empty", chromedp.ByQuery))
	b.clicks("move back to release 41")
	b.sees("[role=status]", "going back from release 42: rolled back by boss")
	b.sees("[sse-swap=facts]", "boss went back from release 42: carts are empty")
	if d := h.deploymentIn("shop/canary-2"); d == nil || !d.IsReturning() {
		t.Errorf("what was aborted is %+v", d)
	}
	b.hasNoComplaints()
}

func TestAFreezeIsSetAndLiftedFromThePage(t *testing.T) {
	h := newHouse(t)
	h.makes(upgraded())
	b := h.browser()
	b.signsIn(h.person("boss", "administrator", ""))
	const path = "/environments/shop/upgraded"
	b.opens(path)
	b.does(chromedp.SendKeys("#freeze-reason", "the fair", chromedp.ByQuery), chromedp.SetValue("input[name=until]", "2099-12-24T18:00", chromedp.ByQuery))
	b.clicks("freeze")
	b.sees("[sse-swap=facts]", "by boss until 24 Dec 2099")
	b.sees("[aria-labelledby=freeze]", "Moving back is always allowed.")
	b.opens(path + "?release=42")
	b.sees("section[aria-labelledby=plan]", "It cannot be deployed now: shop/upgraded is frozen by boss until 24 Dec 2099")
	if n := b.counts("form[action$=deploy]"); n != 0 {
		t.Error("what is frozen has a button to deploy")
	}
	b.clicks("let deployments go on")
	if n := b.counts("form[action$=thaw]"); n != 0 {
		t.Error("it is frozen still")
	}
	b.opens(path + "?release=42")
	b.clicks("deploy release 42")
	b.sees("[role=status]", "release 42 is on its way, by boss")
	b.hasNoComplaints()
}

func TestThePageSaysHowLongMovingBackTakesBeforeItIsDone(t *testing.T) {
	h := newHouse(t)
	h.makes(upgraded())
	h.did("u43", "shift", 50*time.Millisecond)
	b := h.browser()
	b.signsIn(h.person("boss", "administrator", ""))
	b.opens("/environments/shop/upgraded")
	b.sees("[sse-swap=actions] .length", "length: about 0.05 s")
	b.sees("[sse-swap=actions]", "move back to release 42")
	b.clicks("plan and move back")
	b.sees("section[aria-labelledby=plan]", "What moving back to release 41 would do")
	b.sees("section[aria-labelledby=plan] .length", "length: about 0.05 s")
	b.sees("section[aria-labelledby=plan] pre", "goal: release 41")
	b.does(chromedp.SendKeys("#back-reason", "it was best", chromedp.ByQuery))
	b.clicks("move back to release 41, one of those before")
	b.sees("[role=status]", "release 41 is on its way, by boss")
	if d := h.deploymentIn("shop/upgraded"); d.Cause != towpath.CauseRollback || d.Reason != "it was best" {
		t.Errorf("it went back by %+v", d)
	}
	b.hasNoComplaints()
}

func TestAnEnvironmentsPageTellsWhichCommandsWereRunThere(t *testing.T) {
	h := newHouse(t)
	h.makes(withProcesses())
	b := h.browser()
	b.signsIn(h.person("vera", "viewer", "fleet"))
	b.opens("/environments/shop/processes")
	b.sees("[sse-swap=errands]", "./manage.py migrate --check")
	b.sees("[sse-swap=errands]", `sh -c 'echo it'\''s long`)
	b.sees("[sse-swap=errands] tbody tr:first-child", "running")
	b.sees("[sse-swap=errands] tbody tr:nth-child(2)", "no status")
	b.sees("[sse-swap=errands] tbody tr:nth-child(3)", "status 1")
	b.sees("[sse-swap=errands] tbody tr:last-child", "ana")
	b.hasNoComplaints()
}
