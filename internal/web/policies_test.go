package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestWhoMayWriteSecretsSetsThePolicyAndWhoSeesTheProjectReadsIt(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	h.project("other")
	w := h.worker("north-1")
	boss := h.person("boss", "administrator", "", "release-managers")
	h.releases(w, boss, "shop")
	vera, dora := h.person("vera", "viewer", "shop"), h.person("dora", "deployer", "shop")
	mira, stranger := h.person("mira", "maintainer", "shop"), h.person("sten", "viewer", "other")

	const key = "shop/production"
	wish := client.PolicyChange{Addresses: []string{"web1.example.com", "10.0.0.0/8"}, Secrets: []string{}}
	for _, who := range []person{vera, dora} {
		_, err := h.client(who.token).ChangePolicy(t.Context(), key, wish)
		if codeOf(err) != "forbidden" {
			t.Errorf("it was answered %v, not forbidden", err)
		}
	}
	_, err := h.client(stranger.token).Policy(t.Context(), key)
	if codeOf(err) != "not_found" {
		t.Errorf("it was answered %v, not not_found", err)
	}
	_, err = h.client(mira.token).ChangePolicy(t.Context(), key, client.PolicyChange{Addresses: []string{"web1:22"}})
	if codeOf(err) != "invalid" {
		t.Errorf("it was answered %v, not invalid", err)
	}

	set, err := h.client(mira.token).ChangePolicy(t.Context(), key, wish)
	must(t, err)
	if !set.Protected || set.By != "mira" || set.Secrets == nil || set.Refs != nil || set.Conflict != "" {
		t.Errorf("it is set as %+v", set)
	}
	early, err := h.client(mira.token).ChangePolicy(t.Context(), "shop/qa", client.PolicyChange{Refs: []string{"main"}})
	must(t, err)
	if !early.Absent || early.Protected || set.Absent {
		t.Errorf("of an environment that is not there yet it is %+v", early)
	}
	read, err := h.client(vera.token).Policy(t.Context(), key)
	must(t, err)
	if !slices.Equal(read.Addresses, []string{"10.0.0.0/8", "web1.example.com"}) {
		t.Errorf("it is read as %+v", read)
	}
	h.asks(vera.token, "/environments/"+key).wants(t, http.StatusOK, `<h2 id="policy">Policy</h2>`, "10.0.0.0/8, web1.example.com", "protected branches", "mira")
	audit, err := h.owner.Audit(t.Context())
	must(t, err)
	isIt := func(e client.AuditEntry) bool {
		return e.Action == "policy.change" && e.Object == key && strings.Contains(e.Actor, "mira") && e.Detail == "no secrets; addresses web1.example.com, 10.0.0.0/8"
	}
	if !slices.ContainsFunc(audit, isIt) {
		t.Errorf("the audit has no line of it: %+v", audit)
	}
}

func TestAKeeperWhoseWorkerIsNotAllowedAnyMoreIsGivenNothing(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	w := h.worker("north-1")
	boss := h.person("boss", "administrator", "", "release-managers")
	h.releases(w, boss, "shop")
	kept, err := h.owner.Environment(t.Context(), "shop/production")
	must(t, err)
	if kept.Keeper != "north-1" {
		t.Fatalf("it is kept by %q", kept.Keeper)
	}
	set, err := h.owner.ChangePolicy(t.Context(), "shop/production", client.PolicyChange{Workers: []string{"south-1"}})
	must(t, err)
	if !strings.Contains(set.Conflict, "worker north-1") {
		t.Errorf("nothing is said of who keeps it: %+v", set)
	}
	answer, err := w.Keep(t.Context(), client.KeepRequest{Holder: "hand", Kept: []client.Keeping{{Environment: "shop/production"}}})
	must(t, err)
	if !slices.Contains(answer.Lost, "shop/production") || len(answer.Orders) > 0 && answer.Orders[0].Environment.Key == "shop/production" {
		t.Errorf("its keeper is answered %+v", answer)
	}
	_, err = w.ReportKept(t.Context(), "shop/production", client.KeeperReport{})
	if codeOf(err) != "stale" {
		t.Errorf("it was answered %v, not stale", err)
	}
}
