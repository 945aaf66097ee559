package flow_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/alert"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/gitea"
	"github.com/towpath-cd/towpath/internal/store"
)

// shown is a server that takes statuses as Gitea does, and keeps them in their order. The real one is tried by the
// end-to-end tests.
type shown struct {
	*httptest.Server
	statuses []string // "revision context state: description"
	answers  int      // instead, where it is not 0
}

func newShown(t *testing.T) *shown {
	s := &shown{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		revision, is := strings.CutPrefix(r.URL.Path, "/api/v1/repos/ana/shop/statuses/")
		if !is || r.Method != http.MethodPost || r.Header.Get("Authorization") != "token gt_token" {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		if s.answers != 0 {
			http.Error(w, "{}", s.answers)
			return
		}
		var said struct{ Context, State, Description string }
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		s.statuses = append(s.statuses, strings.Join([]string{revision[:7], said.Context, said.State + ":", said.Description}, " "))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	return s
}

// showsAt has the project's repository be at a forge.
func (h *house) showsAt(f *shown) {
	h.t.Helper()
	h.options.Statuses = alert.NewStatuses(alert.StatusOptions{
		Kinds: map[towpath.ForgeKind]forge.Kind{towpath.ForgeGitea: gitea.Kind()},
		Token: func(context.Context, string) (string, error) { return "gt_token", nil },
		URL:   "https://towpath.example.com", Client: &http.Client{Timeout: 10 * time.Second}, Log: slog.New(slog.DiscardHandler),
	})
	h.Conductor = flow.New(h.options)
	h.update(func(tx *store.Tx) error {
		p, version, err := tx.Project("shop")
		if err != nil {
			return err
		}
		p.Forge = towpath.Forge{Kind: towpath.ForgeGitea, URL: f.URL, Repository: "ana/shop"}
		return tx.SaveProject(p, version)
	})
}

func (h *house) show() {
	h.t.Helper()
	for more := true; more; {
		more = good(h.ShowDue(h.t.Context()))(h.t)
	}
}

func TestARunAndItsDeploymentAreShownBesideTheirCommit(t *testing.T) {
	t.Parallel()
	h, f := newHouse(t, straight("staging", "")), newShown(t)
	h.showsAt(f)
	h.poll()
	m := h.newMachine("worker")
	h.show()
	m.passes("shop", tree("shop", "aa"))
	h.settle()
	h.show()
	m.reaches("shop/staging")
	h.settle()
	h.show()
	commit := h.runs()[0].Change.Short()
	want := []string{
		commit + " towpath/shop pending: run 1 running",
		commit + " towpath/shop/staging pending: release 1 running",
		commit + " towpath/shop/staging success: release 1 live",
		commit + " towpath/shop success: run 1 passed",
	}
	got := slices.Clone(f.statuses)
	slices.Sort(got[2:]) // they are of the same moment
	slices.Sort(want[2:])
	if !slices.Equal(got, want) {
		t.Errorf("shown is %q", f.statuses)
	}
}

func TestAStatusThatWasHeldUpIsNeverShownAfterANewerOne(t *testing.T) {
	t.Parallel()
	h, f := newHouse(t, oneStep("")), newShown(t)
	h.showsAt(f)
	f.answers = http.StatusBadGateway
	h.poll()
	h.show()
	m := h.newMachine("worker")
	h.do(m.report(m.take("shop"), towpath.AttemptFailed))
	f.answers = 0
	h.show() // the first one is not due yet
	h.clock.pass(time.Hour)
	h.show()
	if len(f.statuses) != 1 || !strings.Contains(f.statuses[0], "towpath/shop failure: run 1 failed") {
		t.Errorf("shown is %q", f.statuses)
	}
	if owed := h.owed(); strings.Contains(owed, "status/") {
		t.Errorf("owed is still %s", owed)
	}
}

func TestAForgeThatDoesNotTakeStatusesIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	h, f := newHouse(t, oneStep("")), newShown(t)
	h.showsAt(f)
	f.answers = http.StatusForbidden
	h.poll()
	h.show()
	if owed := h.owed(); strings.Contains(owed, "status/") {
		t.Errorf("owed is %s", owed)
	}
}

func TestAProjectAtNoForgeOwesNoStatus(t *testing.T) {
	t.Parallel()
	h := newHouse(t, oneStep(""))
	h.poll()
	if owed := h.owed(); strings.Contains(owed, "status/") {
		t.Errorf("owed is %s", owed)
	}
}
