package flow_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

const cachedPipeline = `pipeline: shop
on: {push: {branches: ["**"]}, pull_request: true}
concurrency: parallel
steps:
  - build: shop
    run: make
    cache: {key: 'k', paths: deps, restore: k}
`

// stored is a tree of one file that the server has.
func (h *house) stored(content string) towpath.CacheTree {
	h.t.Helper()
	dir := h.t.TempDir()
	h.do(os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o600))
	m := good(artifact.Scan(h.t.Context(), artifact.Selection{Dir: dir}))(h.t)
	from, to := io.Pipe()
	go func() { to.CloseWithError(artifact.WritePack(h.t.Context(), to, dir, m, m.Digests())) }()
	h.do(h.artifacts.PutPack(h.t.Context(), from))
	digest := good(h.artifacts.PutManifest(m.Encode()))(h.t)
	return towpath.CacheTree{Path: "deps", Digest: digest.String()}
}

// keeps has a step keep one file under a key, and answers why it is not kept.
func (m *machine) keepsCache(w *flow.Work, key, content string) string {
	m.t.Helper()
	return good(m.KeepCache(m.t.Context(), w.Lease, flow.CacheOffer{
		Scope: w.Run.Change.CacheScopes().Writes, Key: key, Trees: []towpath.CacheTree{m.stored(content)},
	}, flow.Act{Record: unrecorded}))(m.t)
}

// finds answers the key and the scope of what a step restores.
func (m *machine) finds(w *flow.Work, key string, prefixes ...string) string {
	m.t.Helper()
	e := good(m.FindCache(m.t.Context(), w.Lease, flow.CacheWish{Key: key, Restore: prefixes}))(m.t)
	if e == nil {
		return ""
	}
	for _, t := range e.Trees {
		if !good(m.MayReadCached(m.t.Context(), w.Lease, t.Digest))(m.t) {
			m.t.Errorf("%s is offered, and may not be read", t.Digest)
		}
	}
	return string(e.Scope) + " " + e.Key
}

// branch pushes to a branch, and answers its leased step.
func (m *machine) branch(name string) *flow.Work {
	m.t.Helper()
	m.git("checkout", "-q", "-B", name)
	m.push("On " + name)
	m.git("checkout", "-q", "main")
	return m.take("shop")
}

func TestWhatProtectedBranchesReadWasKeptByProtectedBranches(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	m := h.newMachine("worker")
	h.push("On main")
	main := m.take("shop")
	feature, other := m.branch("feature"), m.branch("other")
	if got := m.finds(main, "k1") + m.finds(feature, "k1", "k"); got != "" {
		t.Errorf("nothing was kept, and %q is found", got)
	}

	m.keepsCache(feature, "k1", "poison")
	if got := m.finds(feature, "k1"); got != "branch/feature k1" {
		t.Errorf("the branch finds %q of its own", got)
	}
	if got := m.finds(main, "k1", "k") + m.finds(other, "k1", "k"); got != "" {
		t.Errorf("others find %q of it", got)
	}
	m.keepsCache(main, "k1", "good")
	h.clock.pass(time.Second)
	m.keepsCache(main, "k2", "newer")
	for _, c := range []struct {
		work *flow.Work
		want []string
	}{
		{main, []string{"protected k1", "protected k2"}},
		{feature, []string{"branch/feature k1", "protected k2"}},
		{other, []string{"protected k1", "protected k2"}},
	} {
		if got := m.finds(c.work, "k1", "k"); got != c.want[0] {
			t.Errorf("%s finds %q, want %q", c.work.Run.Change.Branch, got, c.want[0])
		}
		if got := m.finds(c.work, "k3", "x", "k"); got != c.want[1] {
			t.Errorf("%s finds %q by a prefix, want %q", c.work.Run.Change.Branch, got, c.want[1])
		}
	}
	poison := good(m.FindCache(t.Context(), feature.Lease, flow.CacheWish{Key: "k1"}))(t)
	if good(m.MayReadCached(t.Context(), main.Lease, poison.Trees[0].Digest))(t) {
		t.Error("a protected branch may read what a branch kept")
	}
	if why := m.keepsCache(main, "k1", "good"); why != "" {
		t.Errorf("the same again, as after an answer that was lost: %q", why)
	}
	if why := m.keepsCache(main, "k1", "another"); !strings.Contains(why, "meanwhile") {
		t.Errorf("an entry was written over: %q", why)
	}
}

func TestAWorkerThatAsksForAnotherScopeIsRefusedAndRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	m := h.newMachine("worker")
	h.push("On main")
	m.take("shop")
	feature := m.branch("feature")
	recorded := 0
	offer := flow.CacheOffer{Scope: towpath.CacheProtected, Key: "k", Trees: []towpath.CacheTree{h.stored("poison")}}
	_, err := m.KeepCache(t.Context(), feature.Lease, offer, flow.Act{Record: func(*store.Tx) error { recorded++; return nil }})
	wantCode(t, err, towpath.CodeForbidden)
	if recorded != 1 {
		t.Errorf("it was recorded %d times", recorded)
	}
	h.view(func(tx *store.Tx) error {
		entries, err := tx.CacheEntries(h.project.ID)
		if len(entries) > 0 {
			t.Errorf("it was kept: %+v", entries)
		}
		return err
	})
	offer.Scope, offer.Trees[0].Path = "branch/feature", "elsewhere"
	_, err = m.KeepCache(t.Context(), feature.Lease, offer, flow.Act{Record: unrecorded})
	wantCode(t, err, towpath.CodeInvalid)
	offer.Cache = 1
	_, err = m.KeepCache(t.Context(), feature.Lease, offer, flow.Act{Record: unrecorded})
	wantCode(t, err, towpath.CodeInvalid)
	stolen := feature.Lease
	stolen.Worker = "another"
	_, err = m.FindCache(t.Context(), stolen, flow.CacheWish{Key: "k"})
	wantCode(t, err, towpath.CodeStale)
}

func TestAForkReadsWhatProtectedBranchesKeptAndKeepsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksRun })
	m := h.newMachine("worker")
	h.push("On main")
	m.keepsCache(m.take("shop"), "k", "good")
	h.proposes(h.commitAside("refs/pull/7/head", "Sell oolong"), "main", true)
	fork := m.take("shop")
	if got := m.finds(fork, "k"); got != "protected k" {
		t.Errorf("it finds %q", got)
	}
	if why := m.keepsCache(fork, "k2", "poison"); !strings.Contains(why, "fork") {
		t.Errorf("it was kept: %q", why)
	}
	if got := m.finds(fork, "k2"); got != "" {
		t.Errorf("it finds %q", got)
	}
}

func TestACacheStaysWithinItsLimitAndABranchPushesOutNothingProtected(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	h.options.CacheLimit = 100
	h.Conductor = flow.New(h.options)
	m := h.newMachine("worker")
	h.push("On main")
	main, feature := m.take("shop"), m.branch("feature")
	fifty := strings.Repeat("x", 49)
	keeps := func(w *flow.Work, key, content string) string {
		h.clock.pass(time.Hour)
		defer m.RenewStep(t.Context(), w.Lease)
		return m.keepsCache(w, key, content)
	}
	if why := keeps(main, "too large", strings.Repeat("x", 101)); !strings.Contains(why, "there is room for 100") {
		t.Errorf("it was kept: %q", why)
	}
	keeps(main, "p1", fifty+"1")
	keeps(feature, "f1", fifty+"2")
	keeps(feature, "f2", fifty+"3") // pushes out f1, though p1 is older
	if got := m.finds(feature, "f1") + m.finds(main, "p1") + m.finds(feature, "f2"); got != "protected p1branch/feature f2" {
		t.Errorf("there is %q", got)
	}
	if why := keeps(feature, "f3", fifty+"45"); !strings.Contains(why, "room for 50") {
		t.Errorf("a branch pushed out what is protected: %q", why)
	}
	h.clock.pass(time.Hour)
	m.finds(main, "p1")
	keeps(main, "p2", fifty+"5") // f2 was used longest ago
	if got := m.finds(feature, "f2") + m.finds(main, "p1") + m.finds(main, "p2"); got != "protected p1protected p2" {
		t.Errorf("there is %q", got)
	}
}

func TestTheBytesOfACacheStayAsLongAsItsEntryAndGoWithIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	m := h.newMachine("worker")
	h.push("On main")
	w := m.take("shop")
	m.keepsCache(w, "k", "content")
	h.clock.pass(365 * 24 * time.Hour)
	h.retain()
	if got := m.finds(w, "k"); got != "protected k" || h.artifacts.Usage().Blobs != 1 {
		t.Fatalf("it finds %q, of %+v", got, h.artifacts.Usage())
	}
	h.update(func(tx *store.Tx) error { _, err := tx.ForgetCache(h.project.ID, "k"); return err })
	h.clock.pass(2 * time.Hour)
	h.retain()
	if used := h.artifacts.Usage(); used.Blobs != 0 || used.Packs != 0 {
		t.Errorf("what nobody needs is still there: %+v", used)
	}
}

func TestAnEntryWhoseBytesAreNotThereIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t, cachedPipeline)
	m := h.newMachine("worker")
	h.push("On main")
	w := m.take("shop")
	m.keepsCache(w, "k1", "older")
	h.clock.pass(time.Second)
	m.keepsCache(w, "k2", "newer")
	e := good(m.FindCache(t.Context(), w.Lease, flow.CacheWish{Key: "k2"}))(t)
	h.clock.pass(365 * 24 * time.Hour) // files have their times by the machine's clock
	good(h.artifacts.Sweep(t.Context(), func(d artifact.Digest) bool { return d.String() != e.Trees[0].Digest }))(t)
	if got := m.finds(w, "k2", "k"); got != "protected k1" {
		t.Errorf("it finds %q", got)
	}
	if why := m.keepsCache(w, "k2", "newer"); why != "" {
		t.Errorf("it cannot be kept again: %q", why)
	}
}
