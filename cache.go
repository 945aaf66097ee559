package towpath

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// CacheDefinition is what a step keeps for later steps, and finds again.
type CacheDefinition struct {
	Key     string   // as ParseCacheKey reads it
	Paths   []string // folders: of the workspace, or of HOME where they begin with "~/"
	Restore []string // keys again: the newest entry that begins so is taken where the key itself is missing
}

// CacheScope says who may have written an entry of a project's cache. The server alone decides it, from the change.
type CacheScope string

// CacheProtected is the scope that protected branches write, and everybody reads.
const CacheProtected CacheScope = "protected"

// CacheScopes are those that the steps of one change read, the first one first, and the one that they write; empty where
// they write none.
type CacheScopes struct {
	Reads  []CacheScope
	Writes CacheScope
}

// CacheScopes answers what the steps of the change may do. What a protected branch reads was written by protected branches
// only; every other branch has a scope of its own besides; a fork writes none.
func (c Change) CacheScopes() CacheScopes {
	switch {
	case c.IsFromFork():
		return CacheScopes{Reads: []CacheScope{CacheProtected}}
	case c.Trusted:
		return CacheScopes{Reads: []CacheScope{CacheProtected}, Writes: CacheProtected}
	}
	own := CacheScope("branch/" + c.Branch)
	return CacheScopes{Reads: []CacheScope{own, CacheProtected}, Writes: own}
}

// MayRead says whether an entry of the scope may be restored.
func (s CacheScopes) MayRead(scope CacheScope) bool { return slices.Contains(s.Reads, scope) }

// CacheTree is one folder of an entry.
type CacheTree struct {
	Path   string // as the pipeline file has it
	Digest string // of its manifest
	Files  int
	Size   int64 // bytes of all files together
}

// CacheEntry is content that was kept under a key. It never changes.
type CacheEntry struct {
	Project string // project's ID
	Scope   CacheScope
	Key     string
	Trees   []CacheTree // in the order of the definition's paths
	Run     string      // ID of the run that kept it
	KeptAt  time.Time
	UsedAt  time.Time // when it was restored last, or kept; exact to a minute
}

// Size is how many bytes its files have together, uncompressed.
func (e CacheEntry) Size() (sum int64) {
	for _, t := range e.Trees {
		sum += t.Size
	}
	return sum
}

// Files is how many files it has.
func (e CacheEntry) Files() (sum int) {
	for _, t := range e.Trees {
		sum += t.Files
	}
	return sum
}

// MaxCacheKey is how many bytes a key has at most, once its placeholders are filled in.
const MaxCacheKey = 512

// CheckCacheKey refuses a key, filled in, that is empty, too long, or holds what no line of a log may hold.
func CheckCacheKey(key string) error {
	if key == "" || len(key) > MaxCacheKey || !isPlain(key) {
		return Errorf(CodeInvalid, "a cache's key has 1 to %d bytes of plain text, not %q", MaxCacheKey, key[:min(len(key), MaxCacheKey)])
	}
	return nil
}

func isPlain(text string) bool {
	return strings.ToValidUTF8(text, "\x00") == text && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// CacheKey is a key with placeholders, which the worker fills in: "go-{{os}}-{{arch}}-{{hash "go.sum"}}". None of it ever
// reaches a shell.
type CacheKey struct{ parts []cacheKeyPart }

// cacheKeyPart is a text, or a placeholder.
type cacheKeyPart struct {
	text  string
	name  string   // os, arch, branch or hash; empty for a text
	globs []string // of hash
}

// CacheFacts are what placeholders stand for.
type CacheFacts struct {
	OS, Arch string // GOOS and GOARCH
	Branch   string
	// Hash answers a text that is another one whenever the files of the workspace that the globs match are others.
	Hash func(globs []string) (string, error)
}

var (
	cacheKeyWord = regexp.MustCompile(`^(os|arch|branch)$`)
	cacheKeyHash = regexp.MustCompile(`^hash((?:\s+"[^"]+")+)$`)
	cacheKeyGlob = regexp.MustCompile(`"([^"]+)"`)
)

// ParseCacheKey reads a key: text with {{os}}, {{arch}}, {{branch}} and {{hash "go.sum" "**/package-lock.json"}} in it.
func ParseCacheKey(text string) (CacheKey, error) {
	var k CacheKey
	if text == "" || len(text) > MaxCacheKey || !isPlain(text) {
		return k, fmt.Errorf("a key has 1 to %d bytes of plain text", MaxCacheKey)
	}
	for rest := text; rest != ""; {
		before, inside, found := strings.Cut(rest, "{{")
		if strings.Contains(before, "}}") {
			return k, fmt.Errorf(`a "}}" ends nothing`)
		}
		if strings.HasSuffix(before, "$") && found {
			return k, fmt.Errorf("placeholders are written without a dollar sign")
		}
		if before != "" {
			k.parts = append(k.parts, cacheKeyPart{text: before})
		}
		if !found {
			break
		}
		placeholder, after, closed := strings.Cut(inside, "}}")
		if !closed {
			return k, fmt.Errorf(`a "{{" has no end`)
		}
		part, err := parsePlaceholder(strings.TrimSpace(placeholder))
		if err != nil {
			return k, err
		}
		k.parts = append(k.parts, part)
		rest = after
	}
	return k, nil
}

func parsePlaceholder(text string) (cacheKeyPart, error) {
	if cacheKeyWord.MatchString(text) {
		return cacheKeyPart{name: text}, nil
	}
	part := cacheKeyPart{name: "hash"}
	if cacheKeyHash.MatchString(text) {
		for _, glob := range cacheKeyGlob.FindAllStringSubmatch(text, -1) {
			part.globs = append(part.globs, glob[1])
		}
		return part, nil
	}
	if text == "hash" || strings.HasPrefix(text, "hash ") || strings.HasPrefix(text, "hash(") {
		return part, fmt.Errorf(`hash takes files in double quotes: {{hash "go.sum"}}`)
	}
	return part, fmt.Errorf("there is no placeholder {{%s}}", text)
}

// Globs answers the patterns of all its hashes.
func (k CacheKey) Globs() (globs []string) {
	for _, p := range k.parts {
		globs = append(globs, p.globs...)
	}
	return globs
}

// Fill puts in what the placeholders stand for.
func (k CacheKey) Fill(facts CacheFacts) (string, error) {
	var key strings.Builder
	for _, p := range k.parts {
		value := p.text
		switch p.name {
		case "os":
			value = facts.OS
		case "arch":
			value = facts.Arch
		case "branch":
			value = facts.Branch
		case "hash":
			var err error
			if value, err = facts.Hash(p.globs); err != nil {
				return "", err
			}
		}
		key.WriteString(value)
	}
	return key.String(), CheckCacheKey(key.String())
}
