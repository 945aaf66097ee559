package generic

import (
	"net/http"
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
	h.Set("Towpath-Delivery", "f6266f16-1bf3-46a5")
	h.Set("Towpath-Event", event)
	return h
}

func signed() forgetest.Signed {
	return forgetest.Signed{Hooks: hooks{}, Header: "Towpath-Signature", Sign: forgetest.HMAC("Towpath-Signature", "sha256=")}
}

func TestDeliveries(t *testing.T) {
	forgetest.Deliveries(t, signed(), []forgetest.Delivery{
		{Name: "push", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Branch: "main", Before: before, After: after}}},
		{Name: "push-made", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Repository: "ana/shop", Branch: "feature/tax", After: after}}},
		{Name: "branch-deleted", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventPush, Branch: "old", Before: before}}},
		{Name: "tag", Head: head("push"), ID: "f6266f16-1bf3-46a5", Type: "push", Want: []forge.Event{{Kind: forge.EventTag, Tag: "v1.2.0", After: after}}},
		{Name: "ping", Head: head("ping"), ID: "f6266f16-1bf3-46a5", Type: "ping", Want: []forge.Event{{Kind: forge.EventPing}}},
	})
}

func TestTheEventIsAPushUnlessSaidOtherwise(t *testing.T) {
	if _, event := (hooks{}).Identify(http.Header{}); event != "push" {
		t.Errorf("it is a %q", event)
	}
}

func TestTamperedWith(t *testing.T) {
	forgetest.Tampered(t, signed(), forgetest.Payload(t, "push"))
}

func TestRefused(t *testing.T) {
	forgetest.Refused(t, hooks{}, head("push"), forgetest.Hostile(string(forgetest.Payload(t, "push")), "refs/heads/main", after))
	forgetest.Refused(t, hooks{}, head("push"), map[string]string{"no ref": `{}`, "a short ref": `{"ref":"main"}`, "notes": `{"ref":"refs/notes/x"}`})
}

func FuzzParse(f *testing.F) {
	forgetest.FuzzParse(f, hooks{}, head("push"), head("ping"))
}

func FuzzVerify(f *testing.F) {
	forgetest.FuzzVerify(f, signed())
}
