package web_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestLabelsGivenOnTheServerDecideWhoIsGivenAStep(t *testing.T) {
	h := newHouse(t)
	w := h.worker("north-1")
	_, err := w.Hello(t.Context(), client.Hello{OS: "linux", Arch: "amd64", Labels: []string{"big", "has=go"}, Slots: 3, Version: "v0.1.0"})
	must(t, err)
	known := h.onlyWorker()
	if !slices.Equal(known.Labels, []string{"big", "has=go"}) || known.Slots != 3 || known.Version != "v0.1.0" {
		t.Errorf("it said what it is, and is known as %+v", known)
	}
	after, err := h.owner.LabelWorker(t.Context(), known.ID, client.Labeling{Add: []string{"gpu"}, Remove: []string{"big"}})
	must(t, err)
	if !slices.Equal(after.Labels, []string{"gpu", "has=go"}) {
		t.Errorf("its labels are %v", after.Labels)
	}
	_, err = w.Hello(t.Context(), client.Hello{OS: "linux", Arch: "amd64", Labels: []string{"big", "has=docker"}, Slots: 3, Version: "v0.1.0"})
	must(t, err)
	if known = h.onlyWorker(); !slices.Equal(known.Labels, []string{"gpu", "has=docker"}) {
		t.Errorf("started again its labels are %v", known.Labels)
	}
	after, err = h.owner.LabelWorker(t.Context(), known.ID, client.Labeling{Add: []string{"big"}})
	must(t, err)
	if !slices.Equal(after.Labels, []string{"big", "gpu", "has=docker"}) || len(after.Removed) > 0 {
		t.Errorf("with what was taken given back its labels are %v, without %v", after.Labels, after.Removed)
	}
	if _, err = h.owner.LabelWorker(t.Context(), known.ID, client.Labeling{Add: []string{"no spaces"}}); err == nil {
		t.Error("a label that no pipeline file can ask for was taken")
	}
}

func (h *house) onlyWorker() client.Worker {
	h.Helper()
	workers, err := h.owner.Workers(h.Context())
	must(h.T, err)
	if len(workers) != 1 {
		h.Fatalf("there are %d workers", len(workers))
	}
	return workers[0]
}

func TestWorkersAreDrainedResumedAndRemovedOnTheirPage(t *testing.T) {
	h := newHouse(t)
	h.worker("north-1")
	boss, viewer := h.person("boss", "administrator", ""), h.person("vera", "viewer", "*")
	id := h.onlyWorker().ID
	h.asks(boss.token, "/workers").wants(t, http.StatusOK, "north-1", `action="/workers/`+id+`/drain"`, `href="/workers"`)
	h.asks(viewer.token, "/workers").wants(t, http.StatusForbidden)
	h.asks(viewer.token, "/workers/"+id+"/drain", "x", "").wants(t, http.StatusForbidden)

	h.asks(boss.token, "/workers/"+id+"/drain", "x", "").wants(t, http.StatusSeeOther)
	h.asks(boss.token, "/workers").wants(t, http.StatusOK, "drained", "by boss", `action="/workers/`+id+`/remove"`)
	h.asks(boss.token, "/workers/"+id+"/resume", "x", "").wants(t, http.StatusSeeOther)
	if w := h.onlyWorker(); w.Draining || w.DrainedBy != "" {
		t.Errorf("after that it is %+v", w)
	}
	h.asks(boss.token, "/workers/"+id+"/remove", "x", "").wants(t, http.StatusSeeOther)
	h.asks(boss.token, "/workers").wants(t, http.StatusOK, "No worker yet")
}

func TestAWorkerOfAnOlderReleaseIsMarkedAsThat(t *testing.T) {
	h := newHouse(t) // of version "v1.2.0"
	w := h.worker("north-1")
	for version, older := range map[string]bool{"v1.1.9": true, "v1.2.0": false, "v1.10.0": false, "v0.9.0-rc1": true, "(devel)": false} {
		_, err := w.Hello(t.Context(), client.Hello{OS: "linux", Arch: "amd64", Slots: 1, Version: version})
		must(t, err)
		if got := h.onlyWorker(); got.Older != older || got.Version != version {
			t.Errorf("%s counts as older: %v", version, got.Older)
		}
	}
}
