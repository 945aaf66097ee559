//go:build unix

package worker_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// shelf is the server's cache: one scope, the exact key, else the newest with the first prefix.
type shelf struct {
	entries []client.CacheEntry
	refuses string // code of the answer to every call, where it is not empty
}

func (s *site) cached(l *client.StepLease, caches ...client.Cache) string {
	s.t.Helper()
	l.Caches, l.CacheScope, l.Trusted = caches, "protected", true
	report, log := s.result(l)
	if report.State != "passed" {
		s.t.Fatalf("%+v\n%s", report, log)
	}
	return log
}

func (h *shelf) routes(mux *http.ServeMux, prefix string) {
	mux.HandleFunc("POST "+prefix+"find", h.find)
	mux.HandleFunc("POST "+prefix+"keep", h.keep)
}

func (h *shelf) find(w http.ResponseWriter, r *http.Request) {
	var wish client.CacheWish
	if h.refuses != "" || json.NewDecoder(r.Body).Decode(&wish) != nil {
		refuse(w, http.StatusForbidden, h.refuses)
		return
	}
	for _, e := range h.entries {
		if e.Key == wish.Key {
			answer(w, e)
			return
		}
	}
	for _, prefix := range wish.Restore {
		for _, e := range slices.Backward(h.entries) {
			if strings.HasPrefix(e.Key, prefix) {
				answer(w, e)
				return
			}
		}
	}
	_, _ = io.WriteString(w, "null")
}

func (h *shelf) keep(w http.ResponseWriter, r *http.Request) {
	var offer client.CacheOffer
	if h.refuses != "" || json.NewDecoder(r.Body).Decode(&offer) != nil {
		refuse(w, http.StatusForbidden, h.refuses)
		return
	}
	e := client.CacheEntry{Scope: offer.Scope, Key: offer.Key, Trees: offer.Trees}
	for _, t := range offer.Trees {
		e.Files, e.Size = e.Files+t.Files, e.Size+t.Size
	}
	h.entries = append(h.entries, e)
	answer(w, client.CacheAnswer{Kept: true})
}

var dependencies = client.Cache{Key: `deps-{{os}}-{{hash "*.sum"}}`, Paths: []string{"deps", "~/go/mod"}, Restore: []string{"deps-{{os}}-"}}

func TestWhatAStepKeptStandsAgainUnderItsKeyAndUnderWhatItBeginsWith(t *testing.T) {
	s := working(t)
	s.commit("a.sum", "one")
	fill := `mkdir -p deps/x ~/go/mod; echo 1 >deps/x/one; ln -s x deps/y; echo 2 >~/go/mod/two; printf "no end of a line"`
	log := s.cached(s.step(fill), dependencies)
	if !strings.Contains(log, ": missed") || !strings.Contains(log, "no end of a line\ntowpath: cache deps-") || !strings.Contains(log, ": kept (2 files, 4 bytes") {
		t.Errorf("the first: %s", log)
	}
	look := `cat deps/x/one deps/y/one ~/go/mod/two`
	log = s.cached(s.step(look), dependencies)
	if !strings.Contains(log, ": restored from deps-linux-") || !strings.Contains(log, "left as it is, from an earlier step on this worker: ~/go/mod") || strings.Contains(log, ": kept") {
		t.Errorf("the same key: %s", log)
	}

	s.commit("a.sum", "two")
	other := s.step(look + "; rm -r ~/go/mod; mkdir ~/go/mod; echo 3 >deps/x/three")
	other.Pipeline = "other" // whose HOME is empty
	log = s.cached(other, dependencies)
	if !strings.Contains(log, "restored from deps-linux-") || !strings.Contains(log, "1\n1\n2\n") || !strings.Contains(log, ": kept (2 files") {
		t.Errorf("another key that begins so: %s", log)
	}
	if len(s.shelf.entries) != 2 || s.shelf.entries[0].Key == s.shelf.entries[1].Key {
		t.Errorf("the server has %+v", s.shelf.entries)
	}
	if left, _ := filepath.Glob(filepath.Join(s.data, "homes", "*", "*", ".towpath*")); len(left) > 0 {
		t.Errorf("%v is left in a HOME", left)
	}
}

func TestACacheNeverFailsAStep(t *testing.T) {
	for name, c := range map[string]struct {
		cache  client.Cache
		before func(*site)
		script string
		want   []string
	}{
		"no file of the hash":  {cache: client.Cache{Key: `{{hash "*.lock"}}`, Paths: []string{"x"}}, want: []string{"not restored: no file is called *.lock"}},
		"a key of the future":  {cache: client.Cache{Key: `{{moon}}`, Paths: []string{"x"}}, want: []string{"there is no placeholder {{moon}}"}},
		"nothing was left":     {cache: client.Cache{Key: "k", Paths: []string{"x"}}, want: []string{"not kept: x: the script did not leave such a folder"}},
		"a file and no folder": {cache: client.Cache{Key: "k", Paths: []string{"greeting"}}, want: []string{"not kept: greeting: it is a file"}},
		"a link out of it": {
			cache: client.Cache{Key: "k", Paths: []string{"x"}}, script: "ln -s /etc x", want: []string{"not kept: x: the path leads out"},
		},
		"a link out of a folder in it": {
			cache: client.Cache{Key: "k", Paths: []string{"x"}}, script: "mkdir x; ln -s /etc x/etc", want: []string{"not kept: x: ", "outside the tree"},
		},
		"a pipe in it": {cache: client.Cache{Key: "k", Paths: []string{"x"}}, script: "mkdir x; mkfifo x/p", want: []string{"neither file, folder nor link"}},
		"a HOME that leads elsewhere": {
			cache: client.Cache{Key: "k", Paths: []string{"~/x"}}, script: "ln -s /etc ~/x", want: []string{"not kept: ~/x: the path leads out"},
		},
		"a server that refuses": {
			cache: client.Cache{Key: "k", Paths: []string{"x"}}, script: "mkdir x", before: func(s *site) { s.shelf.refuses = "forbidden" },
			want: []string{"not restored: refused as forbidden", "not kept: refused as forbidden"},
		},
		"an entry whose bytes are gone": {
			cache: client.Cache{Key: "k", Paths: []string{"x"}}, before: func(s *site) {
				s.shelf.entries = []client.CacheEntry{{Key: "k", Trees: []client.CacheTree{{Path: "x", Digest: "sha256:" + strings.Repeat("ab", 32)}}}}
			}, want: []string{"not restored: x: refused as not_found"},
		},
		"an entry of which half is gone": {
			cache: client.Cache{Key: "k", Paths: []string{"x", "y"}}, script: "test ! -e x || exit 1; mkdir x y", before: func(s *site) {
				both := client.Cache{Key: "k", Paths: []string{"x", "y"}}
				s.cached(s.step("mkdir x y; echo 1 >x/1; echo 2 >y/2"), both)
				s.shelf.entries[0].Trees[1].Digest = "sha256:" + strings.Repeat("ab", 32)
			}, want: []string{"not restored: y: refused as not_found"},
		},
		"an entry that would be written elsewhere": {
			cache: client.Cache{Key: "k", Paths: []string{"x"}}, script: "mkdir x; echo 1 >x/1", before: func(s *site) {
				log := s.cached(s.step("mkdir x; echo 1 >x/1"), client.Cache{Key: "k", Paths: []string{"x"}})
				if !strings.Contains(log, ": kept") {
					s.t.Fatal(log)
				}
				s.shelf.entries[0].Trees[0].Path = "../../escaped"
			}, want: []string{"not restored: ../../escaped: the path is not one of the workspace"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := working(t)
			if c.before != nil {
				c.before(s)
			}
			log := s.cached(s.step(c.script+"\necho it ran"), c.cache)
			for _, want := range append(c.want, "it ran") {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in\n%s", want, log)
				}
			}
			if _, err := os.Stat(filepath.Join(s.data, "escaped")); err == nil {
				t.Error("something was written outside of the place")
			}
		})
	}
}

func TestAStepThatFailedAndOneOfAForkKeepNothing(t *testing.T) {
	s := working(t)
	l := s.step("mkdir x; exit 1")
	l.Caches, l.CacheScope = []client.Cache{{Key: "k", Paths: []string{"x"}}}, "protected"
	if report, log := s.result(l); report.State != "failed" || strings.Contains(log, "kept (") {
		t.Errorf("%+v\n%s", report, log)
	}
	l = s.step("mkdir x; echo 1 >x/1")
	l.Caches, l.Fork = []client.Cache{{Key: "k", Paths: []string{"x"}}}, true
	if report, log := s.result(l); report.State != "passed" || !strings.Contains(log, "not kept: what comes from a fork keeps nothing") {
		t.Errorf("%+v\n%s", report, log)
	}
	if len(s.shelf.entries) > 0 {
		t.Errorf("the server was given %+v", s.shelf.entries)
	}
}
