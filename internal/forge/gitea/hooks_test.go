package gitea

import (
	"errors"
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
	h.Set("X-Gitea-Delivery", "f6266f16-1bf3-46a5")
	h.Set("X-Gitea-Event", event)
	return h
}

func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "X-Gitea-Signature", Sign: forgetest.HMAC("X-Gitea-Signature", "")}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: before, After: after}}},
		{Name: "push-sha256", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: strings.Repeat("b", 64), After: strings.Repeat("c", 64)}}},
		{Name: "tag-annotated", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", After: after}}},
		{Name: "tag-deleted", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", Before: before}}},
		{Name: "branch-deleted", Head: head("delete"), ID: "f6266f16-1bf3-46a5", Type: "delete", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "feature/old"}}},
		{Name: "create", Head: head("create"), ID: "f6266f16-1bf3-46a5", Type: "create", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "the event create"}}},
		{Name: "request-opened", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-own", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-agit", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true; r.Head = "refs/pull/7/head" })}}},
		{Name: "request-agit-forgejo", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-fork-gone", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-synchronized", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-draft", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Draft = true; r.Changed = true; r.Title = "WIP: Tax" })}}},
		{Name: "request-edited", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true })}}},
		{Name: "request-ready", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-retargeted", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-merged", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-labeled", Head: head("pull_request"), ID: "f6266f16-1bf3-46a5", Type: "pull_request", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "a pull request was label_updated"}}},
	})
}

// request is the pull request of the deliveries, changed by what one of them differs in.
func request(change func(r *forge.Request)) *forge.Request {
	r := &forge.Request{
		Number: 7, Title: "Tax on the basket", URL: "https://git.example.com/ana/shop/pulls/7", Author: "eve",
		Base: "main", Head: "tax", HeadSHA: after, Ref: "refs/pull/7/head",
	}
	change(r)
	return r
}

func TestTamperedWith(t *testing.T) {
	forgetest.Tampered(t, signed(), forgetest.Payload(t, "push"))
}

// allSigned is with every signature that Gitea sends; Forgejo has one more.
func allSigned(body []byte) http.Header {
	header := head("push")
	forgetest.HMAC("X-Forgejo-Signature", "")(header, body, forgetest.Secret)
	forgetest.HMAC("X-Gitea-Signature", "")(header, body, forgetest.Secret)
	forgetest.HMAC("X-Hub-Signature-256", "sha256=")(header, body, forgetest.Secret)
	header.Set("X-Hub-Signature", "sha1=0000000000000000000000000000000000000000")
	return header
}

func TestEverySignatureHasToBeGood(t *testing.T) {
	body := forgetest.Payload(t, "push")
	if err := (hooks{}).Verify(allSigned(body), body, []string{forgetest.Secret}); err != nil {
		t.Error(err)
	}
	for _, s := range signatures {
		alone := head("push")
		forgetest.HMAC(s.name, s.prefix)(alone, body, forgetest.Secret)
		if err := (hooks{}).Verify(alone, body, []string{forgetest.Secret}); err != nil {
			t.Errorf("%s alone: %v", s.name, err)
		}
		forged := allSigned(body)
		forgetest.HMAC(s.name, s.prefix)(forged, body, forgetest.Stranger)
		if err := (hooks{}).Verify(forged, body, []string{forgetest.Secret}); !errors.Is(err, forge.ErrForged) {
			t.Errorf("%s forged: %v", s.name, err)
		}
	}
	only := head("push")
	only.Set("X-Hub-Signature", "sha1=0000000000000000000000000000000000000000")
	if err := (hooks{}).Verify(only, body, []string{forgetest.Secret}); !errors.Is(err, forge.ErrUnsigned) {
		t.Errorf("with SHA-1 only: %v", err)
	}
}

func TestForgejoIsIdentified(t *testing.T) {
	header := http.Header{}
	header.Set("X-Forgejo-Delivery", "d")
	header.Set("X-Forgejo-Event", "push")
	if id, event := (hooks{}).Identify(header); id != "d" || event != "push" {
		t.Errorf("identified as %q, %q", id, event)
	}
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("push"), forgetest.Hostile(string(forgetest.Payload(t, "push")), "refs/heads/main", after))
	forgetest.Refused(t, hooks{}, head("delete"), map[string]string{"neither branch nor tag": `{"ref":"a","ref_type":"x"}`})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("push"), head("pull_request"), head("delete"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}
