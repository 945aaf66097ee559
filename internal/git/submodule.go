package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	maxNested     = 8   // submodules of submodules
	maxSubmodules = 200 // in all
	modeGitlink   = 0o160000
)

// nest is how deep a checkout of submodules has gone, and how many there were.
type nest struct {
	depth, count int
}

// submodule is a folder of a checkout whose files are another repository's.
type submodule struct {
	name     string // in .gitmodules
	path     string // slashed, below the checkout
	address  string // as .gitmodules has it
	revision string
}

// checkOutSubmodules fills the folders of submodules, and those of theirs. `git submodule` is not used: what a repository
// says is judged here, each repository has its mirror, and .gitmodules can have nothing run.
func (m *Mirror) checkOutSubmodules(ctx context.Context, c Checkout, n *nest) error {
	found, err := m.submodules(ctx, c)
	if err != nil || len(found) == 0 {
		return err
	}
	if n.depth++; n.depth > maxNested {
		return fmt.Errorf("submodules of %s are nested more than %d deep: %w", m.remote.shown, maxNested, ErrTooLarge)
	}
	defer func() { n.depth-- }()
	for _, s := range found {
		if n.count++; n.count > maxSubmodules {
			return fmt.Errorf("%s has more than %d submodules: %w", m.remote.shown, maxSubmodules, ErrTooLarge)
		}
		if err := m.checkOutSubmodule(ctx, c, s, n); err != nil {
			return fmt.Errorf("submodule %s: %w", s.path, err)
		}
	}
	return register(c.Dir, found)
}

func (m *Mirror) checkOutSubmodule(ctx context.Context, c Checkout, s submodule, n *nest) error {
	from, err := m.related(s.address)
	if err != nil {
		return err
	}
	if err := realFolders(c.Dir, s.path); err != nil {
		return err
	}
	mirror, err := c.Mirrors(from.url)
	if err != nil {
		return err
	}
	c.Access = m.accessFor(from, c.Access)
	if err := mirror.Ensure(ctx, Want{Revision: s.revision, Access: c.Access}); err != nil {
		return err
	}
	c.Revision, c.Dir = s.revision, filepath.Join(c.Dir, filepath.FromSlash(s.path))
	return mirror.checkOut(ctx, c, n)
}

// submodules reads them from the checkout's index, which holds only paths that git took for safe, and from .gitmodules.
func (m *Mirror) submodules(ctx context.Context, c Checkout) ([]submodule, error) {
	index, err := os.ReadFile(filepath.Join(c.Dir, ".git", "index"))
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	entries, err := readIndex(index, len(c.Revision)/2)
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	var found []submodule
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		if e := entries[path]; e.mode&modeType == modeGitlink {
			found = append(found, submodule{path: path, revision: hex.EncodeToString([]byte(e.blob))})
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, m.describe(ctx, c.Revision, found)
}

// describe adds what .gitmodules says of each.
func (m *Mirror) describe(ctx context.Context, revision string, found []submodule) error {
	out, err := m.read(ctx, "read .gitmodules of "+m.remote.shown, "config", "--blob", revision+":.gitmodules", "--null", "--list")
	if err != nil {
		return err
	}
	said := map[string]map[string]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		rest, is := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(rest, '.')
		if !is || dot < 0 {
			continue
		}
		name, what := rest[:dot], rest[dot+1:]
		if said[name] == nil {
			said[name] = map[string]string{}
		}
		said[name][what] = value
	}
	for i := range found {
		for name, about := range said {
			if about["path"] == found[i].path {
				found[i].name, found[i].address = name, about["url"]
			}
		}
		if found[i].address == "" {
			return fmt.Errorf(".gitmodules of %s has no address for %s: %w", m.remote.shown, found[i].path, ErrNotFound)
		}
	}
	return nil
}

// related judges an address that the repository names. A relative one is taken from the repository's own, as git does
// (git-submodule(1), "add"). A repository from elsewhere leads to no folder of this machine, and none that is reached in
// secret to one that is not.
func (m *Mirror) related(address string) (remote, error) {
	if strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../") {
		var err error
		if address, err = m.remote.resolve(address); err != nil {
			return remote{}, err
		}
	}
	r, err := m.git.parse(address)
	if err != nil {
		return remote{}, err
	}
	isOpen := r.transport == byPath || r.transport == overHTTP || r.transport == overGit
	if isOpen && r.transport != m.remote.transport {
		return remote{}, fmt.Errorf("%s, which is reached by %s, leads to %s: %w", m.remote.shown, m.remote.transport, r.shown, ErrProtocol)
	}
	return r, nil
}

// accessFor is what of an access is for another remote too: all of it on the same host, else no more than whom to believe.
func (m *Mirror) accessFor(r remote, a Access) Access {
	if r.transport == m.remote.transport && r.host == m.remote.host {
		a.User, a.Password = m.remote.login(a)
		return a
	}
	return Access{User: r.user, Password: r.password, KnownHosts: a.KnownHosts} // what its own address brings
}

// resolve goes up from the remote's own path, never above its host.
func (r remote) resolve(relative string) (string, error) {
	var prefix, path string
	switch {
	case strings.Contains(r.url, "://"):
		scheme, rest, _ := strings.Cut(r.url, "://")
		host, below, _ := strings.Cut(rest, "/")
		prefix, path = scheme+"://"+host+"/", below
	case r.transport == overSSH:
		host, below, _ := strings.Cut(r.url, ":")
		prefix, path = host+":", below
		if strings.HasPrefix(below, "/") {
			prefix, path = host+":/", below[1:]
		}
	default:
		prefix, path = "/", strings.TrimPrefix(filepath.ToSlash(r.url), "/")
	}
	parts := strings.Split(strings.TrimRight(path, "/"), "/")
	for part := range strings.SplitSeq(relative, "/") {
		switch {
		case part == "." || part == "":
		case part == ".." && len(parts) == 0:
			return "", fmt.Errorf("%q leads above %s: %w", clip(relative), r.shown, ErrUnsafe)
		case part == "..":
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, part)
		}
	}
	return prefix + strings.Join(parts, "/"), nil
}

// realFolders refuses a path on which a link stands: what is written there would be elsewhere.
func realFolders(dir, path string) error {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return fmt.Errorf("path %q: %w", clip(path), ErrUnsafe)
	}
	for part := range strings.SplitSeq(path, "/") {
		if strings.EqualFold(part, ".git") {
			return fmt.Errorf("path %q: %w", clip(path), ErrUnsafe)
		}
		dir = filepath.Join(dir, part)
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !info.IsDir() {
			return fmt.Errorf("path %q is no folder: %w", clip(path), errors.Join(ErrUnsafe, err))
		}
	}
	return nil
}

var plainName = regexp.MustCompile(`^[^"\\\pC]+$`)

// register tells a script's git of the submodules. One whose name would have to be escaped is left out.
func register(dir string, found []submodule) error {
	var b strings.Builder
	for _, s := range found {
		if plainName.MatchString(s.name) && plainName.MatchString(s.address) {
			fmt.Fprintf(&b, "[submodule \"%s\"]\n\tactive = true\n\turl = \"%s\"\n", s.name, MaskURLs(s.address))
		}
	}
	config, err := os.OpenFile(filepath.Join(dir, ".git", "config"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("register submodules: %w", err)
	}
	_, err = config.WriteString(b.String())
	if err := errors.Join(err, config.Close()); err != nil {
		return fmt.Errorf("register submodules: %w", err)
	}
	return nil
}
