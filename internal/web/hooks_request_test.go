package web_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// signature is how forges sign a body.
func (w webhook) signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(w.secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// ofRequests adds a project "shop" of which pull requests run, at a forge, with its webhook; source is its repository.
func (h *house) ofRequests(forge, address string) (w webhook, source string) {
	h.Helper()
	h.project("source")
	p, err := h.owner.Project(h.Context(), "source")
	must(h.T, err)
	h.commit(p.URL, "towpath.yaml", "pipeline: shop\non: {pull_request: true}\nsteps:\n  - {test: unit, run: make}\n", "ask")
	h.add(client.NewProject{URL: p.URL, Name: "shop", Forge: forge, ForgeURL: address})
	made, err := h.owner.RotateWebhook(h.Context(), "shop")
	must(h.T, err)
	return webhook{house: h, project: "shop", url: made.URL, secret: made.Secret}, p.URL
}

// request is what GitHub delivers of a pull request from a fork.
func (w webhook) request(id, action, revision string) call {
	w.Helper()
	side := func(path string) map[string]any {
		return map[string]any{"ref": "main", "sha": revision, "repo": map[string]any{"full_name": path, "id": len(path)}}
	}
	body, err := json.Marshal(map[string]any{
		"action": action, "number": 7, "repository": map[string]any{"full_name": "ana/shop", "id": 8},
		"pull_request": map[string]any{
			"title": "Tax", "html_url": "https://github.com/ana/shop/pull/7", "user": map[string]any{"login": "eve"},
			"base": side("ana/shop"), "head": side("eve/their-shop"),
		},
	})
	must(w.T, err)
	return call{body: body, header: map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "pull_request", "X-GitHub-Delivery": id,
		"X-Hub-Signature-256": w.signature(body),
	}}
}

func TestAPullRequestFromAForkWaitsUntilItIsAllowedReplacedOrClosed(t *testing.T) {
	h := newHouse(t)
	w, source := h.ofRequests("github", "https://github.com/ana/shop")
	held := func(outcomes ...string) {
		t.Helper()
		if runs := w.runs(); runs != 0 {
			t.Errorf("there are %d runs", runs)
		}
		changes, err := h.owner.Changes(t.Context(), "shop")
		must(t, err)
		for n, c := range changes {
			if c.Outcome != outcomes[n] || c.Branch != "pull/7" {
				t.Errorf("change %d of %s is %s: %s", c.ID, c.Branch, c.Outcome, c.Reason)
			}
		}
		if len(changes) != len(outcomes) {
			t.Errorf("there are %d changes", len(changes))
		}
	}
	w.makes(w.request("d-1", "opened", w.tip()))
	held("held")
	h.commit(source, "more", "more", "second thoughts")
	w.makes(w.request("d-2", "synchronize", w.tip()))
	held("held", "ignored")
	w.makes(w.request("d-3", "closed", w.tip()))
	held("ignored", "ignored")
	if d := w.settled()[0]; d.Outcome != "ignored" || d.Reason != "pull request 7 is closed" {
		t.Errorf("the last delivery is %+v", d)
	}
}

// bitbucketRequest is what Bitbucket Cloud delivers of a pull request of the branch "tax", whose hash it shortens.
func (w webhook) bitbucketRequest(id, from, revision string) call {
	w.Helper()
	side := func(path, branch string) map[string]any {
		return map[string]any{
			"branch": map[string]any{"name": branch}, "commit": map[string]any{"hash": revision[:12]},
			"repository": map[string]any{"full_name": path, "uuid": path},
		}
	}
	body, err := json.Marshal(map[string]any{
		"repository": map[string]any{"full_name": "ana/shop", "uuid": "ana/shop"},
		"pullrequest": map[string]any{
			"id": 7, "title": "Tax", "author": map[string]any{"nickname": "ben"},
			"source": side(from, "tax"), "destination": side("ana/shop", "main"),
		},
	})
	must(w.T, err)
	return call{body: body, header: map[string]string{
		"Content-Type": "application/json", "X-Event-Key": "pullrequest:updated", "X-Request-UUID": id,
		"X-Hub-Signature": w.signature(body),
	}}
}

func TestTheHeadOfAPullRequestIsLookedUpWhereItsForgeShortensIt(t *testing.T) {
	h := newHouse(t)
	w, source := h.ofRequests("bitbucket", "https://bitbucket.org/ana/shop")
	h.git(source, "checkout", "-q", "-b", "tax")
	h.commit(source, "tax", "one", "Tax")
	for n, id := range []string{"u-1", "u-2"} { // of which only the first has a commit that is new
		if status := w.makes(w.bitbucketRequest(id, "ana/shop", w.tip())); status != http.StatusAccepted {
			t.Fatalf("delivery %d is answered %d", n, status)
		}
		if runs := w.runs(); runs != 1 {
			t.Errorf("after %d deliveries there are %d runs", n+1, runs)
		}
	}
	h.commit(source, "tax", "two", "More tax")
	w.makes(w.bitbucketRequest("u-3", "ana/shop", w.tip()))
	if runs := w.runs(); runs != 2 {
		t.Errorf("after another commit there are %d runs", runs)
	}
	newest, err := h.owner.Runs(t.Context(), client.RunFilter{Project: "shop"})
	must(t, err)
	if newest[0].Revision != w.tip() {
		t.Errorf("the last run is of %s, and the branch stands at %s", newest[0].Revision, w.tip())
	}
	w.makes(w.bitbucketRequest("u-4", "eve/shop", w.tip()))
	if d := w.settled()[0]; d.Outcome != "ignored" || !strings.Contains(d.Reason, "neither the full hash") {
		t.Errorf("one of a fork is %s: %s", d.Outcome, d.Reason)
	}
	h.git(source, "checkout", "-q", "main")
	h.git(source, "branch", "-D", "tax")
	w.makes(w.bitbucketRequest("u-5", "ana/shop", w.tip()))
	w.runs()
	changes, err := h.owner.Changes(t.Context(), "shop")
	must(t, err)
	if gone := changes[0]; gone.Outcome != "ignored" || !strings.Contains(gone.Reason, "refs/heads/tax") {
		t.Errorf("one whose branch is gone is %s: %s", gone.Outcome, gone.Reason)
	}
}
