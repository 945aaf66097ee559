package git

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// advertised asks a repository on this machine for its references, as `git ls-remote` does: by what serves fetches
// (git-upload-pack(1)). But it is the only process, where ls-remote starts a shell that starts it.
func (g *Git) advertised(ctx context.Context, r remote, patterns []string) (Refs, error) {
	out, err := g.output(ctx, command{
		doing: "list the tips of " + r.shown,
		args:  []string{"upload-pack", "--advertise-refs", r.url},
	})
	if err != nil {
		return Refs{}, err
	}
	all, err := parseAdvertisement(out)
	if err != nil {
		return Refs{}, fmt.Errorf("list the tips of %s: %w", r.shown, err)
	}
	return all.matching(patterns), nil
}

// isHere says that the remote is a folder of this machine, under its own path.
func (r remote) isHere() bool {
	info, err := os.Stat(r.url)
	return r.transport == byPath && filepath.IsAbs(r.url) && err == nil && info.IsDir()
}

// parseAdvertisement reads what a remote says of itself in the protocol's first version (gitprotocol-pack(5), "Reference
// Discovery").
func parseAdvertisement(out []byte) (Refs, error) {
	refs := Refs{Tips: make(map[string]string)}
	return refs, refs.addAll(newPackets(bytes.NewReader(out)))
}

func (r *Refs) addAll(answer packets) error {
	for {
		line, isEnd, err := answer.next()
		if err != nil || isEnd {
			return err
		}
		r.add(line)
	}
}

// addAllOfSecond reads an answer of the second version (gitprotocol-v2(5), "ls-refs").
func (r *Refs) addAllOfSecond(answer packets) error {
	for {
		line, isEnd, err := answer.next()
		if err != nil || isEnd {
			return err
		}
		hash, rest, _ := strings.Cut(string(line), " ")
		name, attributes, _ := strings.Cut(rest, " ")
		if !IsHash(hash) {
			continue // a HEAD that is not born yet
		}
		r.Tips[name] = hash
		for attribute := range strings.FieldsSeq(attributes) {
			if target, ok := strings.CutPrefix(attribute, "symref-target:"); ok && name == "HEAD" {
				r.Default = target
			}
			if peeled, ok := strings.CutPrefix(attribute, "peeled:"); ok && IsHash(peeled) {
				r.Tips[name+"^{}"] = peeled
			}
		}
	}
}

// add takes "<hash> <name>", on the first line followed by NUL and what the server can do. A repository without any
// reference has that line too, under a name that is none.
func (r *Refs) add(line []byte) {
	reference, abilities, _ := bytes.Cut(line, []byte{0})
	for ability := range strings.FieldsSeq(string(abilities)) {
		if target, ok := strings.CutPrefix(ability, "symref=HEAD:"); ok {
			r.Default = target
		}
	}
	hash, name, _ := strings.Cut(strings.TrimSuffix(string(reference), "\n"), " ")
	if IsHash(hash) && name != "capabilities^{}" {
		r.Tips[name] = hash
	}
}

// matching keeps what ls-remote would show of the references for these patterns.
func (r Refs) matching(patterns []string) Refs {
	if len(patterns) == 0 {
		return r
	}
	kept := Refs{Tips: make(map[string]string)}
	for name, hash := range r.Tips {
		for _, p := range patterns {
			if matches(name, p) {
				kept.Tips[name] = hash
			}
		}
	}
	if _, asked := kept.Tips["HEAD"]; asked {
		kept.Default = r.Default
	}
	return kept
}

// isHTTP says that the remote may be asked without git.
func (r remote) isHTTP() bool { return r.transport == overHTTPS || r.transport == overHTTP }

// matches holds the end of a name against a pattern, which may end in a star.
func matches(name, pattern string) bool {
	if begin, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.Contains("/"+name, "/"+begin)
	}
	return strings.HasSuffix("/"+name, "/"+pattern)
}
