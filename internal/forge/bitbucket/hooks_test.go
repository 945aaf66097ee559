package bitbucket

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
	h.Set("X-Request-UUID", "f6266f16-1bf3-46a5")
	h.Set("X-Event-Key", event)
	return h
}

func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "X-Hub-Signature", Sign: forgetest.HMAC("X-Hub-Signature", "sha256=")}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("repo:push"), ID: "f6266f16-1bf3-46a5", Type: "repo:push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: before, After: after}}},
		{Name: "push-several", Head: head("repo:push"), ID: "f6266f16-1bf3-46a5", Type: "repo:push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: before, After: after}, {Kind: forge.EventPush, Repository: "ana/shop", Branch: "feature/tax", After: after}, {Kind: forge.EventPush, Repository: "ana/shop", Branch: "old", Before: before}, {Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", After: after}, {Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.1.0", Before: before}, {Kind: forge.EventOther, Repository: "ana/shop", Note: "a push to a bookmark"}}},
		{Name: "request-created", Head: head("pullrequest:created"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:created", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-created", Head: head("pullrequest:updated"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:updated", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-created", Head: head("pullrequest:push"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:push", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-own-draft", Head: head("pullrequest:created"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:created", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Draft = true; r.Changed = true; r.Ref = "refs/heads/tax" })}}},
		{Name: "request-fork-gone", Head: head("pullrequest:updated"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:updated", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-fulfilled", Head: head("pullrequest:fulfilled"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:fulfilled", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Ref = "refs/heads/tax" })}}},
		{Name: "request-rejected", Head: head("pullrequest:rejected"), ID: "f6266f16-1bf3-46a5", Type: "pullrequest:rejected", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Ref = "refs/heads/tax" })}}},
		{Name: "fork", Head: head("repo:fork"), ID: "f6266f16-1bf3-46a5", Type: "repo:fork", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "Bitbucket's event repo:fork"}}},
	})
}

// request is the pull request of the deliveries, changed by what one of them differs in.
func request(change func(r *forge.Request)) *forge.Request {
	r := &forge.Request{
		Number: 7, Title: "Tax on the basket", URL: "https://bitbucket.org/ana/shop/pull-requests/7", Author: "eve",
		Base: "main", Head: "tax",
	}
	change(r)
	return r
}

func TestTamperedWith(t *testing.T) {
	forgetest.Tampered(t, signed(), forgetest.Payload(t, "push"))
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("repo:push"), forgetest.Hostile(string(forgetest.Payload(t, "push")), `"name": "main"`, after))
	many := `{"push":{"changes":[` + strings.Repeat(`{},`, forge.MaxEvents) + `{}]}}`
	forgetest.Refused(t, hooks{}, head("repo:push"), map[string]string{"too many references": many})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("repo:push"), head("pullrequest:updated"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}
