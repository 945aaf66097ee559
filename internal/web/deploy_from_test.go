package web_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

func TestTheLiveReleaseOfAnotherEnvironmentIsDeployedBehindTheGatesOfTheOne(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")
	h.brings(w, "shop") // release 2 is live in staging, and nobody has approved it

	_, err := cleo.Deploy(t.Context(), "shop/production", client.Deploy{From: "staging"})
	if codeOf(err) != string(towpath.CodeForbidden) || !strings.Contains(err.Error(), "has not been approved") {
		t.Errorf("what was not approved answers %v", err)
	}
	asked, err := cleo.Approval(t.Context(), "shop", 2, "release")
	must(t, err)
	_, err = cleo.Decide(t.Context(), asked, client.Decision{Approved: true})
	must(t, err)
	w.keeps("shop/production")
	_, err = cleo.Rollback(t.Context(), "shop/production", "slow")
	must(t, err)
	w.keeps("shop/production")
	made, err := cleo.Deploy(t.Context(), "shop/production", client.Deploy{From: "staging", Reason: "it was not the release"})
	must(t, err)
	if made.Release != 2 || made.Cause != "manual" {
		t.Errorf("made is %+v", made)
	}
	w.keeps("shop/production")
	audit, err := h.owner.Audit(t.Context())
	must(t, err)
	if !strings.Contains(audit[0].Detail, "release 2, live in staging: it was not the release") {
		t.Errorf("the audit says %+v", audit[0])
	}
	for _, wish := range []client.Deploy{{}, {From: "staging", Release: 2}} {
		if _, err := cleo.Deploy(t.Context(), "shop/production", wish); codeOf(err) != string(towpath.CodeInvalid) {
			t.Errorf("%+v answers %v", wish, err)
		}
	}
	if _, err := cleo.Deploy(t.Context(), "shop/production", client.Deploy{From: "moon"}); codeOf(err) != string(towpath.CodeNotFound) {
		t.Errorf("an environment that is none answers %v", err)
	}
}
