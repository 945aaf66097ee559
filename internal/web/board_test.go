package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestTheBoardSaysWhatIsLiveWhatMovesAndWhatWaits(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	h.project("blog")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")

	board := h.boardAs(cleo, client.BoardFilter{})
	if len(board.Services) != 1 || board.All != 1 {
		t.Fatalf("who sees one project of two gets %+v", board)
	}
	live := board.Services[0].Environments
	if len(live) != 2 || live[0].Name != "staging" || live[1].Name != "production" {
		t.Fatalf("the columns are %v", board.Columns)
	}
	for _, e := range live {
		if e.Live == nil || e.Live.Number != 1 || e.Live.Title != "first page" || e.LiveAt.IsZero() || e.Health == nil || *e.Health != (client.Health{State: "healthy", Passing: 1, Wanted: 1}) {
			t.Errorf("%s is %+v, %+v", e.Key, e, e.Health)
		}
	}

	_, err := cleo.Deploy(t.Context(), "shop/staging", client.Deploy{Release: 1, Reason: "again"})
	must(t, err)
	_, err = cleo.Deploy(t.Context(), "shop/staging", client.Deploy{Release: 1, Reason: "and again"})
	must(t, err)
	staging := h.boardAs(cleo, client.BoardFilter{State: "waiting"}).Services[0].Environments[0]
	if staging.Deployment == nil || staging.Deployment.By != "cleo" || len(staging.Queue) != 1 {
		t.Fatalf("staging is %+v", staging)
	}
	waiting := staging.Queue[0]
	want := "deployment of release 1 by cleo holds shop/staging since " + staging.Deployment.BeganAt.Local().Format("15:04") + "; it is next"
	if waiting.Place != 1 || waiting.Waits != want {
		t.Errorf("%d waits: %q, not %q", waiting.Place, waiting.Waits, want)
	}
	for _, f := range []client.BoardFilter{{State: "held"}, {Service: "sho", Environment: "moon"}, {Project: "blog"}, {Service: "x"}} {
		if none := h.boardAs(cleo, f); len(none.Services) != 0 {
			t.Errorf("%+v finds %+v", f, none.Services)
		}
	}
	one := h.boardAs(cleo, client.BoardFilter{Service: "SHO", Environment: "production", Project: "shop"})
	if len(one.Services) != 1 || len(one.Services[0].Environments) != 1 || fmt.Sprint(one.Columns) != "[production]" {
		t.Errorf("one column is %+v", one)
	}
	if _, err := cleo.Board(t.Context(), client.BoardFilter{State: "purple"}); codeOf(err) != string(towpath.CodeInvalid) {
		t.Errorf("a state that is none answers %v", err)
	}
}

func (h *house) boardAs(p person, f client.BoardFilter) client.Board {
	h.Helper()
	board, err := p.Board(h.Context(), f)
	must(h.T, err)
	return board
}

func TestWhatAilsOrIsUnattendedNeedsAttention(t *testing.T) {
	h := newHouse(t)
	h.services(3)
	vera := h.person("vera", "administrator", "")
	must(t, h.store.Update(t.Context(), func(tx *store.Tx) error {
		seen, _, err := tx.Observation("service-001/production")
		seen.Instances[0].Health, seen.Instances[0].Problem, seen.At = towpath.HealthFailing, "GET /healthz answered 500", time.Now()
		if err == nil {
			err = tx.SaveObservation("service-001/production", seen)
		}
		return err
	}))
	attention := h.boardAs(vera, client.BoardFilter{State: "attention"})
	if len(attention.Services) != 1 || attention.Services[0].Pipeline != "service-001" {
		t.Fatalf("attention need %+v", attention.Services)
	}
	e := attention.Services[0].Environments[2]
	if *e.Health != (client.Health{State: "ailing", Wanted: 1, Problem: "GET /healthz answered 500"}) {
		t.Errorf("its health is %+v", e.Health)
	}
	must(t, h.store.Update(t.Context(), func(tx *store.Tx) error {
		e, version, err := tx.Environment("service-002/staging")
		e, _ = e.Next(towpath.KeeperLeft{Worker: "w1", At: time.Now()})
		if err == nil {
			err = tx.SaveEnvironment(e, version)
		}
		return err
	}))
	if two := h.boardAs(vera, client.BoardFilter{State: "attention"}); len(two.Services) != 2 || two.Services[1].Environments[1].Health.State != "unknown" {
		t.Errorf("with one unattended attention need %+v", two.Services)
	}
}

// services makes services with three environments each, in which a release is live.
func (h *house) services(count int) {
	h.Helper()
	at := time.Now().Add(-time.Hour)
	must(h.T, h.store.Update(h.Context(), func(tx *store.Tx) error {
		if err := tx.CreateProject(towpath.Project{ID: "fleet", Name: "fleet", URL: "/nowhere", Paused: true, CreatedAt: at}); err != nil {
			return err
		}
		for n := range count {
			if err := tx.ClaimPipeline(fmt.Sprintf("service-%03d", n), "fleet"); err != nil {
				return err
			}
		}
		for n := range count {
			for _, name := range []string{"integration", "staging", "production"} {
				if err := newService(tx, fmt.Sprintf("service-%03d", n), name, at); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

func newService(tx *store.Tx, pipeline, name string, at time.Time) error {
	e := towpath.NewEnvironment("fleet", pipeline, towpath.EnvironmentDefinition{
		Name: name, Instances: 1, Target: towpath.TargetDefinition{Process: &towpath.ProcessTarget{Command: "./service"}},
	}, at)
	release := towpath.ReleaseRef{Number: 41, Change: 41, Revision: "3f2c1aa9b0c4", Title: "a change with a title of the usual length"}
	e, _ = e.Next(towpath.KeeperLeased{Worker: "w1", Holder: "w1", Expires: at.Add(1000 * time.Hour), At: at})
	e, _ = e.Next(towpath.DeploymentRequested{Deployment: towpath.Deployment{ID: e.Key, Release: release, Cause: towpath.CauseManual, By: "ana"}, At: at})
	e, _ = e.Next(towpath.GoalReached{Epoch: e.Epoch, Deployment: e.Key, At: at})
	if err := tx.CreateEnvironment(e); err != nil {
		return err
	}
	return tx.SaveObservation(e.Key, towpath.Observation{At: at, Instances: []towpath.Instance{{
		ID: "r41-1", Release: 41, State: towpath.InstanceRunning, Address: "127.0.0.1:8001", Health: towpath.HealthPassing,
		Traffic: towpath.Traffic{Known: true},
	}}})
}

func TestABoardOfTwoHundredServicesIsReadAtOnceAndFollowedRowByRow(t *testing.T) {
	h := newHouse(t)
	h.services(200)
	vera := h.person("vera", "administrator", "")
	b := h.browser()
	b.signsIn(vera)
	b.opens("/environments")
	if n := b.counts(".board tbody tr"); n != 200 {
		t.Fatalf("the board has %d rows", n)
	}
	b.sees("[sse-swap=counts]", "200 of 200 services")
	b.canBeUsed("board of 200 services")
	b.does(chromedp.Evaluate(`document.querySelector("[sse-swap='row-service-199'] a").id = "untouched"`, nil))
	_, err := vera.Freeze(t.Context(), "service-007/production", "the sale", time.Time{})
	must(t, err)
	b.sees("[sse-swap=row-service-007]", "frozen by vera: the sale")
	b.sees("[sse-swap=counts]", "held 1")
	if n := b.counts("[sse-swap=row-service-199] #untouched"); n != 1 {
		t.Error("a row was replaced in which nothing changed")
	}
	b.clicks("held 1")
	if n := b.counts(".board tbody tr"); n != 1 {
		t.Errorf("%d services are held", n)
	}
	_, err = vera.Thaw(t.Context(), "service-007/production")
	must(t, err)
	b.sees("[sse-swap=board]", "No such service.")
	b.does(chromedp.SetValue("[name=state]", "", chromedp.ByQuery), chromedp.SendKeys("[name=service]", "service-11", chromedp.ByQuery))
	b.clicks("show")
	b.sees("[sse-swap=counts]", "10 of 200 services")
	b.hasNoComplaints()
}

func TestTheBoardWorksWithoutJavaScript(t *testing.T) {
	h := newHouse(t)
	h.services(2)
	vera := h.person("vera", "administrator", "")
	h.asks(vera.token, "/environments?service=001").wants(t, http.StatusOK, "service-001", "1 of 2 services", "release 41")
	h.asks(vera.token, "/environments?state=purple").wants(t, http.StatusUnprocessableEntity, "never", "attention, moving")
	if shown := h.asks(vera.token, "/environments?service=001"); strings.Contains(shown.text, "service-000") {
		t.Error("the filter filters nothing")
	}
}
