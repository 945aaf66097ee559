package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// chronicle answers what is told of the newest deployment to staging, and what was done in it.
func (h *house) chronicle() (told towpath.Chronicle, journal []towpath.JournalEntry) {
	h.t.Helper()
	for more := true; more; {
		more = good(h.Rounds().CompleteChronicles(h.t.Context()))(h.t)
	}
	id := h.deployments("shop/staging")[0].ID
	h.view(func(tx *store.Tx) (err error) {
		if told, err = tx.Chronicle(id); err == nil {
			journal, err = tx.Journal(id, 100)
		}
		return err
	})
	return told, journal
}

func titles(commits []towpath.Commit) string {
	var found []string
	for _, c := range commits {
		found = append(found, c.Title)
	}
	return strings.Join(found, ", ")
}

func TestWhatADeploymentChangedIsKeptAlsoWhileTheForgeIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", "    env: {MODE: one, TOKEN: hunter2}\n"))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	first, _ := h.chronicle()
	if first.Plan == "" || first.Operations == 0 || len(first.Settings) > 0 || first.Commits == nil || len(first.Commits.Added) > 0 {
		t.Errorf("of the first is told %+v", first)
	}
	h.commit("Between")
	h.write("towpath.yaml", straight("staging", "    env: {MODE: two, NEW: x, TOKEN: hunter2}\n    instances: 2\n"))
	h.deploys(m, "bb", "staging")
	h.git("config", "--local", "core.bare", "maybe") // from here on nobody can read the repository: only the mirror is left
	second, _ := h.chronicle()
	if got := titles(second.Commits.Added); got != "Bring bb, Between" || len(second.Commits.Removed) > 0 || second.Commits.Added[0].Author == "" {
		t.Errorf("its commits are %q and %+v", got, second.Commits)
	}
	var names []string
	for _, s := range second.Settings {
		names = append(names, s.Name+" "+s.How)
		if strings.Contains(s.Before+s.After, "one") || strings.Contains(s.Before+s.After, "two") {
			t.Errorf("a variable's value is told: %+v", s)
		}
	}
	if got := strings.Join(names, ", "); got != "Instances changed, env MODE changed, env NEW added" {
		t.Errorf("its settings are %s", got)
	}
	m.reaches("shop/staging")
	good(h.Rollback(t.Context(), "shop/staging", 0, flow.Act{By: "mira", Record: unrecorded}))(t)
	back, _ := h.chronicle()
	if got := titles(back.Commits.Removed); got != "Bring bb, Between" || len(back.Commits.Added) > 0 {
		t.Errorf("a rollback takes back %q: %+v", got, back.Commits)
	}
}

func TestWhatAKeeperDidIsKeptOnceAndOfItsOwnDeploymentsOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	e, id := h.environment("shop/staging"), h.deployments("shop/staging")[0].ID
	began := h.clock.Now()
	entry := towpath.JournalEntry{Deployment: id, Operation: "place r1-1", Began: began, Ended: began.Add(time.Second)}
	later := towpath.JournalEntry{Deployment: id, Operation: "start r1-1", Began: began.Add(time.Second), Ended: began.Add(2 * time.Second), Problem: "it does not answer"}
	alien := towpath.JournalEntry{Deployment: "another", Operation: "place r1-1", Began: began, Ended: began}
	for _, told := range [][]towpath.JournalEntry{{entry}, {entry, later, alien}} {
		good(h.Reported(t.Context(), e.Key, flow.Report{Epoch: e.Epoch, Journal: told}))(t)
	}
	if _, journal := h.chronicle(); len(journal) != 2 || journal[0].Operation != "place r1-1" || journal[1].Problem == "" {
		t.Errorf("kept is %+v", journal)
	}
}
