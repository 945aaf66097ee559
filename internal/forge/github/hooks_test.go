package github

import (
	"net/http"
	"net/url"
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
	h.Set("X-GitHub-Delivery", "f6266f16-1bf3-46a5")
	h.Set("X-GitHub-Event", event)
	return h
}

func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "X-Hub-Signature-256", Sign: forgetest.HMAC("X-Hub-Signature-256", "sha256=")}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: before, After: after}}},
		{Name: "push-slash", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "feature/tax-é", After: after}}},
		{Name: "branch-deleted", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "old", Before: before}}},
		{Name: "tag-annotated", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", After: after}}},
		{Name: "tag-deleted", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", Before: before}}},
		{Name: "ping", Head: head("ping"), ID: "f6266f16-1bf3-46a5", Type: "ping", Want: []forge.Event{{Kind: forge.EventPing, Repository: "ana/shop"}}},
		{Name: "issues", Head: head("issues"), ID: "f6266f16-1bf3-46a5", Type: "issues", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "GitHub's event issues"}}},
		{Name: "request-opened", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-own-draft", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Draft = true; r.Changed = true })}}},
		{Name: "request-fork-gone", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-synchronize", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-edited", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true })}}},
		{Name: "request-retargeted", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-ready", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-merged", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-labeled", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "a pull request was labeled"}}},
	})
}

// request is the pull request of the deliveries, changed by what one of them differs in.
func request(change func(r *forge.Request)) *forge.Request {
	r := &forge.Request{
		Number: 7, Title: "Tax on the basket", URL: "https://github.com/ana/shop/pull/7", Author: "eve",
		Base: "main", Head: "tax", HeadSHA: after, Ref: "refs/pull/7/head",
	}
	change(r)
	return r
}

func TestTamperedWith(t *testing.T) {
	forgetest.Tampered(t, signed(), forgetest.Payload(t, "push"))
}

func TestTheSignatureOfTheDocumentation(t *testing.T) {
	// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
	header := http.Header{}
	header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if err := (hooks{}).Verify(header, []byte("Hello, World!"), []string{"It's a Secret to Everybody"}); err != nil {
		t.Error(err)
	}
}

func TestAForm(t *testing.T) {
	body := []byte(url.Values{"payload": {string(forgetest.Payload(t, "push"))}}.Encode())
	header := head("push")
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	signed().Sign(header, body, forgetest.Secret)
	if err := (hooks{}).Verify(header, body, []string{forgetest.Secret}); err != nil {
		t.Error(err)
	}
	events, err := hooks{}.Parse(header, body)
	if err != nil || len(events) != 1 || events[0].After != after {
		t.Errorf("read as %+v, %v", events, err)
	}
	forgetest.Refused(t, hooks{}, header, map[string]string{
		"no payload": "other=1", "two payloads": "payload={}&payload={}", "no form": "payload=%zz",
	})
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("push"), forgetest.Hostile(string(forgetest.Payload(t, "push")), "refs/heads/main", after))
	forgetest.Refused(t, hooks{}, head("pull_request"), map[string]string{
		"no number":   `{"action":"opened","pull_request":{"head":{"ref":"a"},"base":{"ref":"b"}}}`,
		"no branches": `{"action":"opened","number":1,"pull_request":{}}`,
	})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("push"), head("pull_request"), head("ping"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}
