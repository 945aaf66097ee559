package forgetest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/towpath-cd/towpath/internal/forge"
)

// FuzzParse lets hooks read anything, under each of the headers. What they make of it is sound, or refused.
func FuzzParse(f *testing.F, hooks forge.Hooks, headers ...http.Header) {
	for _, body := range corpus(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, header := range headers {
			events, err := hooks.Parse(header, body)
			if err != nil && events != nil {
				t.Errorf("both %+v and %v", events, err)
			}
			for _, e := range events {
				sound(t, e)
			}
		}
	})
}

// FuzzVerify lets anything stand for a signature, and for a body. Only what was made with the secret verifies.
func FuzzVerify(f *testing.F, signed Signed) {
	if signed.Secret == "" {
		signed.Secret = Secret
	}
	for _, body := range corpus(f) {
		header := http.Header{}
		signed.Sign(header, body, signed.Secret)
		f.Add(body, header.Get(signed.Header))
	}
	f.Add([]byte("{}"), "sha256=")
	f.Add([]byte("{}"), "v1,")
	f.Fuzz(func(t *testing.T, body []byte, value string) {
		header := http.Header{}
		signed.Sign(header, body, signed.Secret)
		if err := signed.Hooks.Verify(header, body, []string{Stranger, signed.Secret}); err != nil {
			t.Errorf("what was signed is refused: %v", err)
		}
		good := header.Get(signed.Header)
		header.Set(signed.Header, value)
		err := signed.Hooks.Verify(header, body, []string{Stranger, signed.Secret})
		if err == nil && !strings.Contains(strings.ToLower(value), strings.ToLower(good)) && value != Stranger {
			t.Errorf("%q verifies, not only %q", value, good)
		}
	})
}

// corpus is the deliveries in testdata.
func corpus(f *testing.F) [][]byte {
	f.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatalf("no deliveries in testdata: %v", err)
	}
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// sound holds that nothing in an event can harm who acts on it.
func sound(t *testing.T, e forge.Event) {
	t.Helper()
	for _, hash := range []string{e.Before, e.After} {
		isLong := len(hash) == 40 || len(hash) == 64
		if hash != "" && (!isLong || strings.Trim(hash, "0123456789abcdef") != "" || strings.Trim(hash, "0") == "") {
			t.Errorf("the hash %q", hash)
		}
	}
	if (e.Kind == forge.EventPush) != (e.Branch != "") || (e.Kind == forge.EventTag) != (e.Tag != "") {
		t.Errorf("an event of no kind: %+v", e)
	}
	if (e.Kind == forge.EventRequestOpen || e.Kind == forge.EventRequestClosed) != (e.Request != nil) {
		t.Errorf("a pull request that is none: %+v", e)
	}
	if strings.ContainsFunc(e.Repository+e.Branch+e.Tag+e.Note, unicode.IsControl) || strings.HasPrefix(e.Branch+e.Tag, "-") {
		t.Errorf("a name that may not be: %+v", e)
	}
	if e.Request != nil {
		soundRequest(t, *e.Request)
	}
}

func soundRequest(t *testing.T, r forge.Request) {
	t.Helper()
	if r.Number <= 0 || r.Base == "" || r.Head == "" || len(r.Title) > 300 || len(r.Author) > 300 {
		t.Errorf("a request of no form: %+v", r)
	}
	if strings.ContainsFunc(r.Title+r.Author+r.URL+r.Base+r.Head+r.Ref, unicode.IsControl) {
		t.Errorf("control characters: %+v", r)
	}
	if r.URL != "" && !strings.HasPrefix(strings.ToLower(r.URL), "http") {
		t.Errorf("a link to %q", r.URL)
	}
}
