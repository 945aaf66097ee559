package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
)

// Refs are the tips a remote shows.
type Refs struct {
	// Default is the branch that HEAD names, such as "refs/heads/main"; empty when HEAD is detached or was not
	// asked for.
	Default string
	// Tips maps a reference's full name to the hash it stands at. An annotated tag has a second entry, its name
	// followed by "^{}", with the hash of the commit it names.
	Tips map[string]string
}

// LsRemote asks the remote for its tips: all of them, or those that match one of the patterns, in which HEAD asks
// for the default branch. A pattern that matches nothing is no error.
func (g *Git) LsRemote(ctx context.Context, address string, a Access, patterns ...string) (Refs, error) {
	r, err := g.parse(address)
	if err != nil {
		return Refs{}, err
	}
	for _, p := range patterns {
		if err := checkRef(strings.TrimSuffix(p, "*")); err != nil {
			return Refs{}, err
		}
	}
	isPlain := !slices.ContainsFunc(patterns, hasInnerStar)
	switch {
	case r.isHere() && isPlain:
		return g.advertised(ctx, r, patterns)
	case r.isHTTP() && isPlain && len(patterns) > 0 && !strings.Contains(r.url, "?"):
		refs, err := g.askHTTP(ctx, r, a, patterns)
		if !errors.Is(err, errAskGit) {
			return refs, err
		}
	}
	return g.lsRemote(ctx, r, a, patterns)
}

// lsRemote has git ask.
func (g *Git) lsRemote(ctx context.Context, r remote, a Access, patterns []string) (Refs, error) {
	s, err := g.show(r, a)
	if err != nil {
		return Refs{}, err
	}
	defer s.end()
	args := append([]string{"ls-remote", "--symref"}, onlyKinds(patterns)...)
	out, err := g.output(ctx, command{
		doing: "list the tips of " + r.shown,
		args:  append(append(args, "--end-of-options", r.url), patterns...),
		as:    s,
	})
	if err != nil {
		return Refs{}, err
	}
	return parseRefs(out), nil
}

// onlyKinds keeps the remote from sending what is not asked for: patterns alone are git's own sieve, behind the wire.
func onlyKinds(patterns []string) (options []string) {
	kinds := map[string]string{"refs/heads/": "--heads", "refs/tags/": "--tags"}
	for _, p := range patterns {
		known := false
		for prefix, option := range kinds {
			if strings.HasPrefix(p, prefix) {
				options, known = append(options, option), true
			}
		}
		if !known {
			return nil
		}
	}
	return options
}

func hasInnerStar(pattern string) bool {
	return strings.Contains(strings.TrimSuffix(pattern, "*"), "*")
}

func parseRefs(out []byte) Refs {
	refs := Refs{Tips: make(map[string]string)}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, name, found := strings.Cut(lines.Text(), "\t")
		if target, symbolic := strings.CutPrefix(left, "ref: "); symbolic && name == "HEAD" {
			refs.Default = target
		} else if found && !symbolic {
			refs.Tips[name] = left
		}
	}
	return refs
}
