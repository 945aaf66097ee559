package bitbucketserver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

const (
	before = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	after  = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
)

func head(event string) http.Header {
	h := http.Header{}
	h.Set("X-Request-Id", "f6266f16-1bf3-46a5")
	h.Set("X-Event-Key", event)
	return h
}

func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "X-Hub-Signature", Sign: forgetest.HMAC("X-Hub-Signature", "sha256=")}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("repo:refs_changed"), ID: "f6266f16-1bf3-46a5", Type: "repo:refs_changed", Want: []forge.Event{{Kind: forge.EventPush, Repository: "PROJ/shop", Branch: "main", Before: before, After: after}}},
		{Name: "push-several", Head: head("repo:refs_changed"), ID: "f6266f16-1bf3-46a5", Type: "repo:refs_changed", Want: []forge.Event{{Kind: forge.EventPush, Repository: "PROJ/shop", Branch: "main", Before: before, After: after}, {Kind: forge.EventPush, Repository: "PROJ/shop", Branch: "feature/tax", After: after}, {Kind: forge.EventPush, Repository: "PROJ/shop", Branch: "old", Before: before}, {Kind: forge.EventTag, Repository: "PROJ/shop", Tag: "v1.2.0", After: after}, {Kind: forge.EventOther, Repository: "PROJ/shop", Note: "a push to refs/notes/commits"}}},
		{Name: "request-opened", Head: head("pr:opened"), ID: "f6266f16-1bf3-46a5", Type: "pr:opened", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-own-draft", Head: head("pr:opened"), ID: "f6266f16-1bf3-46a5", Type: "pr:opened", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) { r.Draft = true; r.Changed = true })}}},
		{Name: "request-updated", Head: head("pr:from_ref_updated"), ID: "f6266f16-1bf3-46a5", Type: "pr:from_ref_updated", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-words", Head: head("pr:modified"), ID: "f6266f16-1bf3-46a5", Type: "pr:modified", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-retargeted", Head: head("pr:modified"), ID: "f6266f16-1bf3-46a5", Type: "pr:modified", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-ready", Head: head("pr:modified"), ID: "f6266f16-1bf3-46a5", Type: "pr:modified", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "PROJ/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-merged", Head: head("pr:merged"), ID: "f6266f16-1bf3-46a5", Type: "pr:merged", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "PROJ/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-declined", Head: head("pr:declined"), ID: "f6266f16-1bf3-46a5", Type: "pr:declined", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "PROJ/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "ping", Head: head("diagnostics:ping"), ID: "f6266f16-1bf3-46a5", Type: "diagnostics:ping", Want: []forge.Event{{Kind: forge.EventPing}}},
		{Name: "comment", Head: head("repo:comment:added"), ID: "f6266f16-1bf3-46a5", Type: "repo:comment:added", Want: []forge.Event{{Kind: forge.EventOther, Repository: "PROJ/shop", Note: "Bitbucket's event repo:comment:added"}}},
	})
}

// request is the pull request of the deliveries, changed by what one of them differs in.
func request(change func(r *forge.Request)) *forge.Request {
	r := &forge.Request{
		Number: 7, Title: "Tax on the basket", URL: "https://bitbucket.example.com/projects/PROJ/repos/shop/pull-requests/7", Author: "eve",
		Base: "main", Head: "tax", HeadSHA: after, Ref: "refs/pull-requests/7/from",
	}
	change(r)
	return r
}

func TestTamperedWith(t *testing.T) {
	forgetest.Tampered(t, signed(), forgetest.Payload(t, "push"))
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("repo:refs_changed"),
		forgetest.Hostile(string(forgetest.Payload(t, "push")), "refs/heads/main", after))
	many := `{"changes":[` + strings.Repeat(`{},`, forge.MaxEvents) + `{}]}`
	forgetest.Refused(t, hooks{}, head("repo:refs_changed"), map[string]string{"too many references": many})
	forgetest.Refused(t, hooks{}, head("pr:opened"), map[string]string{"no repository": `{"pullRequest":{"id":1}}`})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("repo:refs_changed"), head("pr:opened"), head("pr:modified"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}
