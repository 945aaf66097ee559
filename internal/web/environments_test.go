package web_test

import (
	"errors"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

func TestDeploymentsAreListedPageByPage(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	for range 3 {
		h.releases(w, cleo, "shop")
	}
	const environment = "shop/production"
	page := func(p client.Page) []client.Deployment {
		t.Helper()
		found, err := cleo.DeploymentPage(t.Context(), environment, p)
		must(t, err)
		return found
	}
	all := page(client.Page{})
	if len(all) != 3 || all[0].Release <= all[2].Release {
		t.Fatalf("listed are %+v", all)
	}
	before := ""
	for _, want := range all {
		found := page(client.Page{Before: before, Limit: 1})
		if len(found) != 1 || found[0].ID != want.ID {
			t.Errorf("after %q comes %+v, not %s", before, found, want.ID)
		}
		before = want.ID
	}
	if rest := page(client.Page{Before: before}); len(rest) != 0 {
		t.Errorf("after the last one comes %+v", rest)
	}

	for _, p := range []client.Page{{Limit: 501}, {Before: "nothing"}} {
		_, err := cleo.DeploymentPage(t.Context(), environment, p)
		if code := codeOf(err); code != string(towpath.CodeInvalid) && code != string(towpath.CodeNotFound) {
			t.Errorf("%+v answers %v", p, err)
		}
	}
	if _, err := cleo.DeploymentPage(t.Context(), "shop/staging", client.Page{Before: before}); codeOf(err) != string(towpath.CodeNotFound) {
		t.Errorf("a deployment of another environment answers %v", err)
	}
}

// codeOf is the server's code of an error, or empty.
func codeOf(err error) string {
	if said, is := errors.AsType[*client.Error](err); is {
		return said.Code
	}
	return ""
}
