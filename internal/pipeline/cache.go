package pipeline

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
)

// maxCaches is how many caches a step has at most, and how many paths and prefixes each of them.
const maxCaches = 20

const cacheKeyHint = `a key is text with {{os}}, {{arch}}, {{branch}} or {{hash "go.sum" "**/package-lock.json"}} in it`

func cacheShape() *shape {
	one := mapping(
		field{key: "key", doc: cacheKeyHint, required: true, shape: text(cacheKeyFormat())},
		field{key: "paths", aka: []string{"path", "folders"}, doc: "folders that are kept, of the workspace, or of HOME where they begin with ~/", required: true, shape: several(cachePathFormat())},
		field{key: "restore", aka: []string{"restore-keys", "restore_keys", "fallback"}, doc: "what the key of the newest entry may begin with that is restored where the key itself is missing", shape: several(cacheKeyFormat())},
	)
	return either(one, list(one))
}

func reportsShape() *shape {
	return either(several(reportPathFormat()), mapping(
		field{key: "junit", aka: []string{"xml"}, doc: "files in JUnit's format, as globs", required: true, shape: several(reportPathFormat())},
		field{key: "required", doc: "a report that is missing or cannot be read fails the step", fallback: "false", shape: yesNo()},
	))
}

func cacheKeyFormat() *format {
	return &format{what: "a cache's key", check: func(s string) (string, string) {
		key, err := towpath.ParseCacheKey(s)
		if err != nil {
			return fmt.Sprintf("%q is not a cache's key: %s", clip(s), err), cacheKeyHint
		}
		for _, glob := range key.Globs() {
			if wrong, hint := reportPathFormat().check(glob); wrong != "" {
				return wrong, hint
			}
		}
		return "", ""
	}}
}

// cachePathFormat is a folder of the workspace, or of HOME.
func cachePathFormat() *format {
	return &format{what: "a folder of the workspace or of HOME", check: func(s string) (string, string) {
		inside, _ := strings.CutPrefix(s, "~/")
		clean := path.Clean(strings.ReplaceAll(inside, `\`, "/"))
		wrong, _ := keptPathFormat().check(inside)
		if wrong != "" || clean == "." || clean == ".git" || strings.HasPrefix(clean, ".git/") || strings.HasPrefix(clean, "~") {
			return fmt.Sprintf("%q is not a folder of the workspace or of HOME", clip(s)), "write node_modules or ~/.cache/go-build, for example"
		}
		return "", ""
	}}
}

func reportPathFormat() *format {
	return &format{what: "a path in the workspace", check: func(s string) (string, string) {
		if wrong, hint := keptPathFormat().check(s); wrong != "" || doublestar.ValidatePattern(s) {
			return wrong, hint
		}
		return fmt.Sprintf("%q is not a glob", clip(s)), "* stands for one part of a path, ** for any number of parts"
	}}
}

// caches reads one cache, or a list of them.
func (b *builder) caches(v *value) (caches []towpath.CacheDefinition) {
	if !v.has("cache") {
		return nil
	}
	given := v.get("cache")
	b.atMost(given, "caches", "a step")
	for _, one := range given.each() {
		b.atMost(one.get("paths"), "paths", "a cache")
		b.atMost(one.get("restore"), "prefixes", "a cache")
		caches = append(caches, towpath.CacheDefinition{
			Key: one.get("key").string(), Paths: one.get("paths").texts(), Restore: one.get("restore").texts(),
		})
	}
	return caches
}

func (b *builder) atMost(v *value, what, owner string) {
	if n := len(v.each()); n > maxCaches {
		b.wrong(v.at, fmt.Sprintf("%d %s; %s has at most %d", n, what, owner, maxCaches), "take some out")
	}
}

// reports reads globs of report files; nil where there are none.
func reports(v *value) *towpath.ReportsDefinition {
	if !v.has("reports") {
		return nil
	}
	given := v.get("reports")
	if given.isMapping() {
		return &towpath.ReportsDefinition{JUnit: given.get("junit").texts(), Required: given.get("required").bool()}
	}
	return &towpath.ReportsDefinition{JUnit: given.texts()}
}

func (w *writer) caches(all []towpath.CacheDefinition) {
	if len(all) > 0 {
		w.open(2, "cache")
	}
	for _, c := range all {
		fmt.Fprintf(w, "      - key: %s\n", scalarText(c.Key))
		w.put(4, "paths", c.Paths)
		w.put(4, "restore", c.Restore)
	}
}

func (w *writer) reports(r *towpath.ReportsDefinition) {
	if r == nil {
		return
	}
	w.open(2, "reports")
	w.put(3, "junit", r.JUnit)
	w.put(3, "required", r.Required)
}
