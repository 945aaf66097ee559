package towpath_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
)

func facts() towpath.CacheFacts {
	return towpath.CacheFacts{OS: "linux", Arch: "amd64", Branch: "main", Hash: func(globs []string) (string, error) {
		if globs[0] == "none" {
			return "", errors.New("no file")
		}
		return "h(" + strings.Join(globs, "+") + ")", nil
	}}
}

func TestACachesKeyIsFilledInWithWhatItsPlaceholdersStandFor(t *testing.T) {
	for text, want := range map[string]string{
		"deps":                                  "deps",
		`go-{{os}}-{{arch}}-{{hash "go.sum"}}`:  "go-linux-amd64-h(go.sum)",
		`{{ branch }}/{{hash "a" "**/b.lock"}}`: "main/h(a+**/b.lock)",
		"{single} $HOME `x`":                    "{single} $HOME `x`",
	} {
		key, err := towpath.ParseCacheKey(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := key.Fill(facts()); err != nil || got != want {
			t.Errorf("%s became %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestACachesKeyThatIsWrongIsRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "1 to 512 bytes",
		strings.Repeat("a", 513): "1 to 512 bytes",
		"a\x00b":                 "plain text",
		"a\nb":                   "plain text",
		"{{os":                   "has no end",
		"os}}":                   "ends nothing",
		"${{ os }}":              "without a dollar sign",
		"{{hash go.sum}}":        "double quotes",
		`{{hash("go.sum")}}`:     "double quotes",
		"{{env.SECRET}}":         "no placeholder {{env.SECRET}}",
		"{{{{os}}}}":             "no placeholder",
	} {
		if _, err := towpath.ParseCacheKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestAKeyWhoseHashFailsOrThatGetsTooLongIsNone(t *testing.T) {
	key, err := towpath.ParseCacheKey(`x-{{hash "none"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Fill(facts()); err == nil {
		t.Errorf("it became %q", got)
	}
	key, err = towpath.ParseCacheKey("{{branch}}{{branch}}")
	if err != nil {
		t.Fatal(err)
	}
	f := facts()
	f.Branch = strings.Repeat("b", 300)
	if got, err := key.Fill(f); err == nil {
		t.Errorf("a key of %d bytes was made", len(got))
	}
}

func TestWhatAChangeReadsAndWritesOfACacheIsSaidByWhoMadeIt(t *testing.T) {
	fork := &towpath.PullRequest{Fork: true}
	for name, c := range map[string]struct {
		change towpath.Change
		want   towpath.CacheScopes
	}{
		"protected":              {towpath.Change{Branch: "main", Trusted: true}, towpath.CacheScopes{Reads: []towpath.CacheScope{"protected"}, Writes: "protected"}},
		"branch":                 {towpath.Change{Branch: "protected"}, towpath.CacheScopes{Reads: []towpath.CacheScope{"branch/protected", "protected"}, Writes: "branch/protected"}},
		"fork":                   {towpath.Change{Branch: "pull/7", Request: fork}, towpath.CacheScopes{Reads: []towpath.CacheScope{"protected"}}},
		"fork of a trusted line": {towpath.Change{Branch: "main", Request: fork, Trusted: true}, towpath.CacheScopes{Reads: []towpath.CacheScope{"protected"}}},
	} {
		if diff := cmp.Diff(c.want, c.change.CacheScopes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzAKeyIsRefusedOrHasNothingInItThatItsFileDidNotSay(f *testing.F) {
	for _, seed := range []string{"deps", `go-{{os}}-{{hash "go.sum"}}`, "{{", "}}", "{{branch}}{{arch}}", "${{os}}", `{{hash "a" "b"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := towpath.ParseCacheKey(text)
		if err != nil {
			return
		}
		got, err := key.Fill(facts())
		if err != nil {
			return
		}
		if strings.Contains(got, "{{os}}") || towpath.CheckCacheKey(got) != nil {
			t.Errorf("%q became %q", text, got)
		}
		if !strings.Contains(text, "{{") && got != text {
			t.Errorf("the plain text %q became %q", text, got)
		}
	})
}
