package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
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
	h.Set("Idempotency-Key", "f6266f16-1bf3-46a5")
	h.Set("X-Gitlab-Event", event)
	return h
}

// signed is with a secret token, which GitLab sends along.
func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "X-Gitlab-Token", Sign: func(header http.Header, _ []byte, secret string) {
		header.Set("X-Gitlab-Token", secret)
	}}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("Push Hook"), ID: "f6266f16-1bf3-46a5", Type: "Push Hook", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "main", Before: before, After: after}}},
		{Name: "push-subgroup", Head: head("Push Hook"), ID: "f6266f16-1bf3-46a5", Type: "Push Hook", Want: []forge.Event{{Kind: forge.EventPush, Repository: "team/web/shop", Branch: "feature/tax", After: after}}},
		{Name: "branch-deleted", Head: head("Push Hook"), ID: "f6266f16-1bf3-46a5", Type: "Push Hook", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "old", Before: before}}},
		{Name: "tag-annotated", Head: head("Tag Push Hook"), ID: "f6266f16-1bf3-46a5", Type: "Tag Push Hook", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", After: after}}},
		{Name: "tag-deleted", Head: head("Tag Push Hook"), ID: "f6266f16-1bf3-46a5", Type: "Tag Push Hook", Want: []forge.Event{{Kind: forge.EventTag, Repository: "ana/shop", Tag: "v1.2.0", Before: before}}},
		{Name: "note", Head: head("Note Hook"), ID: "f6266f16-1bf3-46a5", Type: "Note Hook", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "GitLab's event note"}}},
		{Name: "request-opened", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Fork = true; r.Changed = true })}}},
		{Name: "request-own-draft", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Draft = true; r.Changed = true })}}},
		{Name: "request-updated", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Author = ""; r.Changed = true })}}},
		{Name: "request-words", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-retargeted", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-ready", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-reopened", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestOpen, Repository: "ana/shop", Request: request(func(r *forge.Request) { r.Changed = true })}}},
		{Name: "request-closed", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-merged", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventRequestClosed, Repository: "ana/shop", Request: request(func(r *forge.Request) {})}}},
		{Name: "request-approved", Head: head("Merge Request Hook"), ID: "f6266f16-1bf3-46a5", Type: "Merge Request Hook", Want: []forge.Event{{Kind: forge.EventOther, Repository: "ana/shop", Note: "a merge request: approved"}}},
	})
}

// request is the pull request of the deliveries, changed by what one of them differs in.
func request(change func(r *forge.Request)) *forge.Request {
	r := &forge.Request{
		Number: 7, Title: "Tax on the basket", URL: "https://gitlab.example.com/ana/shop/-/merge_requests/7", Author: "eve",
		Base: "main", Head: "tax", HeadSHA: after, Ref: "refs/merge-requests/7/head",
	}
	change(r)
	return r
}

// key signs as https://docs.gitlab.com/user/project/integrations/webhooks/#signing-tokens describes it.
const key = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// withToken is with a signing token.
func withToken() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "Webhook-Signature", Sign: func(header http.Header, body []byte, secret string) {
		header.Set("Webhook-Id", "msg-1")
		header.Set("Webhook-Timestamp", "1763890000")
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte("msg-1.1763890000."))
		mac.Write(body)
		header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}}
}

func TestASigningToken(t *testing.T) {
	body := forgetest.Payload(t, "push")
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another key of thirty-two bytes!"))
	made := func(change func(h http.Header)) http.Header {
		h := head("Push Hook")
		withToken().Sign(h, body, key)
		change(h)
		return h
	}
	for name, c := range map[string]struct {
		header  http.Header
		body    []byte
		secrets []string
		want    error
	}{
		"signed":                                {made(func(http.Header) {}), body, []string{other, key}, nil},
		"while exchanged":                       {made(func(h http.Header) { h.Set("Webhook-Signature", "v1,AAAA v1a,x "+h.Get("Webhook-Signature")) }), body, []string{key}, nil},
		"another token":                         {made(func(http.Header) {}), body, []string{other}, forge.ErrForged},
		"another body":                          {made(func(http.Header) {}), body[1:], []string{key}, forge.ErrForged},
		"another ID":                            {made(func(h http.Header) { h.Set("Webhook-Id", "msg-2") }), body, []string{key}, forge.ErrForged},
		"another time":                          {made(func(h http.Header) { h.Set("Webhook-Timestamp", "1763890001") }), body, []string{key}, forge.ErrForged},
		"no ID":                                 {made(func(h http.Header) { h.Del("Webhook-Id") }), body, []string{key}, forge.ErrUnsigned},
		"doubly signed":                         {made(func(h http.Header) { h.Add("Webhook-Signature", h.Get("Webhook-Signature")) }), body, []string{key}, forge.ErrForged},
		"no signature":                          {made(func(h http.Header) { h.Set("Webhook-Signature", "v2,AAAA") }), body, []string{key}, forge.ErrUnsigned},
		"a token that is none":                  {made(func(http.Header) {}), body, []string{"whsec_*"}, forge.ErrForged},
		"the token sent along":                  {made(func(h http.Header) { h.Del("Webhook-Signature"); h.Set("X-Gitlab-Token", key) }), body, []string{key}, forge.ErrForged},
		"a good token does not mend it":         {made(func(h http.Header) { h.Set("Webhook-Id", "2"); h.Set("X-Gitlab-Token", "s") }), body, []string{key, "s"}, forge.ErrForged},
		"signed, where a secret token is known": {made(func(h http.Header) { h.Set("X-Gitlab-Token", "s") }), body, []string{"s"}, nil},
	} {
		if err := (hooks{}).Verify(c.header, c.body, c.secrets); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if id, _ := (hooks{}).Identify(made(func(http.Header) {})); id != "msg-1" {
		t.Errorf("identified by %q, which is not signed", id)
	}
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("Push Hook"), forgetest.Hostile(string(forgetest.Payload(t, "push")), "refs/heads/main", after))
	forgetest.Refused(t, hooks{}, head("Merge Request Hook"), map[string]string{
		"no number": `{"object_kind":"merge_request","object_attributes":{"action":"open","source_branch":"a","target_branch":"b"}}`,
	})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("Push Hook"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}

func FuzzVerifySigning(f *testing.F) {
	s := withToken()
	s.Secret = key
	forgetest.FuzzVerify(f, s)
}
