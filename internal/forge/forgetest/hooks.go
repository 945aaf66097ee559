// Package forgetest is what every kind of forge is held to.
package forgetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/forge"
)

// The secrets of the tests: the one that signs, one that was exchanged for it, one that nobody was told.
const (
	Secret   = "5e3c1b0d-the-secret"
	Previous = "0b7f9a21-the-one-before"
	Stranger = "d41d8cd9-of-somebody-else"
)

// Delivery is a delivery as its forge documents it, and what it says.
type Delivery struct {
	Name string      // of the file in testdata, without .json
	Head http.Header // without a signature
	ID   string
	Type string // what the forge calls the event
	Want []forge.Event
}

// Signed is the hooks of a kind, with how its deliveries are signed.
type Signed struct {
	Hooks  forge.Hooks
	Header string // that bears the signature
	Sign   func(header http.Header, body []byte, secret string)
	Secret string // empty: Secret
}

// HMAC signs as most forges do, with the standard library only: what is tested must not sign for itself.
func HMAC(header, prefix string) func(h http.Header, body []byte, secret string) {
	return func(h http.Header, body []byte, secret string) {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		h.Set(header, prefix+hex.EncodeToString(mac.Sum(nil)))
	}
}

// Deliveries holds hooks to a table: each delivery is verified, identified and read, and refused in every way in which it
// may have been tampered with.
func Deliveries(t *testing.T, signed Signed, table []Delivery) {
	t.Helper()
	for _, d := range table {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			body := Payload(t, d.Name)
			header := d.Head.Clone()
			signed.Sign(header, body, Secret)
			signed.verifies(t, header, body)
			signed.refuses(t, d.Head, body)
			if id, event := signed.Hooks.Identify(header); id != d.ID || event != d.Type {
				t.Errorf("identified as %q, %q; want %q, %q", id, event, d.ID, d.Type)
			}
			got, err := signed.Hooks.Parse(header, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d.Want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Payload reads a delivery's body from testdata.
func Payload(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// verifies holds that each of several secrets verifies, wherever it stands.
func (s Signed) verifies(t *testing.T, header http.Header, body []byte) {
	t.Helper()
	for _, secrets := range [][]string{{Secret}, {Previous, Secret}, {Secret, Previous}, {"", Secret}} {
		if err := s.Hooks.Verify(header, body, secrets); err != nil {
			t.Errorf("with %d secrets: %v", len(secrets), err)
		}
	}
}

// refuses holds that what was tampered with is refused, and by its right name.
func (s Signed) refuses(t *testing.T, head http.Header, body []byte) {
	t.Helper()
	good := head.Clone()
	s.Sign(good, body, Secret)
	altered := func(change func(h http.Header)) http.Header {
		h := good.Clone()
		change(h)
		return h
	}
	value := good.Get(s.Header)
	for name, c := range map[string]struct {
		header  http.Header
		secrets []string
		want    error
	}{
		"unsigned":         {head, []string{Secret}, forge.ErrUnsigned},
		"empty signature":  {altered(func(h http.Header) { h.Set(s.Header, "") }), []string{Secret}, forge.ErrUnsigned},
		"doubly signed":    {altered(func(h http.Header) { h.Add(s.Header, value) }), []string{Secret}, forge.ErrForged},
		"another's secret": {good, []string{Stranger}, forge.ErrForged},
		"no secrets":       {good, nil, forge.ErrForged},
		"empty secrets":    {good, []string{"", ""}, forge.ErrForged},
	} {
		if err := s.Hooks.Verify(c.header, body, c.secrets); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	cut := altered(func(h http.Header) { h.Set(s.Header, value[:len(value)-1]) })
	if err := s.Hooks.Verify(cut, body, []string{Secret}); err == nil {
		t.Error("a signature that was cut off is taken")
	}
	empty := head.Clone()
	s.Sign(empty, body, "")
	if err := s.Hooks.Verify(empty, body, []string{""}); err == nil {
		t.Error("an empty secret verifies")
	}
}

// Tampered holds that no other body passes under a signature: one that was cut off, or has a byte changed.
func Tampered(t *testing.T, signed Signed, body []byte) {
	t.Helper()
	header := http.Header{}
	signed.Sign(header, body, Secret)
	flipped := append([]byte{}, body...)
	flipped[len(flipped)/2] ^= 1
	for name, other := range map[string][]byte{
		"cut off": body[:len(body)-1], "changed": flipped, "empty": nil, "longer": append([]byte("\n"), body...),
	} {
		if err := signed.Hooks.Verify(header, other, []string{Secret}); !errors.Is(err, forge.ErrForged) {
			t.Errorf("a body that is %s: %v", name, err)
		}
	}
}

// Refused holds that Parse refuses a body, for a reason that says so.
func Refused(t *testing.T, hooks forge.Hooks, header http.Header, bodies map[string]string) {
	t.Helper()
	for name, body := range bodies {
		if events, err := hooks.Parse(header, []byte(body)); err == nil {
			t.Errorf("%s: read as %+v", name, events)
		}
	}
}

// Hostile answers bodies that must be refused, made from a good one that names a branch and has a hash.
func Hostile(good, branch, hash string) map[string]string {
	bodies := map[string]string{
		"empty":          "",
		"no JSON":        "hello",
		"cut off":        good[:len(good)/2],
		"followed by":    good + "{}",
		"nested":         strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"nested inside":  `{"x":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + "," + good[1:],
		"another type":   strings.ReplaceAll(good, `"`+hash+`"`, "17"),
		"too large":      `{"x":"` + strings.Repeat("x", forge.MaxBody) + `"}`,
		"short hash":     strings.ReplaceAll(good, hash, hash[:12]),
		"long hash":      strings.ReplaceAll(good, hash, hash+"0"),
		"no hexadecimal": strings.ReplaceAll(good, hash, "g"+hash[1:]),
	}
	for _, name := range []string{
		"", "a b", "a..b", "-upload-pack=x", "a\\u0000b", "a\\nb", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a.lock", "x/.git",
		"a//b", "/a", "a/", "a.", "@", "a@{1}", "a\\\\b", "a\\u007f", "a\xff", strings.Repeat("x", 300),
	} {
		bodies["a branch called "+name] = strings.ReplaceAll(good, branch, strings.Replace(branch, "main", name, 1))
	}
	return bodies
}
