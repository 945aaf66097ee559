package artifact

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	manifestHeader = "towpath-manifest 1\n"
	maxPathBytes   = 4096
	entryBytes     = 128 // about as long as an entry is in a manifest
)

// Kind is what an entry is.
type Kind string

// The kinds of entries.
const (
	File       Kind = "file"
	Executable Kind = "exec" // a file with its execute bit, all that is kept of a mode
	Link       Kind = "link"
	Folder     Kind = "dir" // kept only when it is empty
)

// Entry is one thing in a tree.
type Entry struct {
	Path   string // relative, with slashes
	Kind   Kind
	Size   int64  // of a file
	Digest Digest // of a file
	Target string // of a link: relative, inside the tree
}

// IsFile says whether the entry has content.
func (e Entry) IsFile() bool { return e.Kind == File || e.Kind == Executable }

// Manifest lists a tree, sorted by path. Equal trees have equal manifests.
type Manifest []Entry

// Encode returns the canonical bytes: a header, and one line an entry.
func (m Manifest) Encode() []byte {
	out := make([]byte, 0, len(manifestHeader)+len(m)*entryBytes)
	out = append(out, manifestHeader...)
	for _, e := range m {
		out = append(append(out, e.Kind...), ' ')
		switch {
		case e.IsFile():
			out = append(strconv.AppendInt(out, e.Size, 10), ' ')
			out = append(hex.AppendEncode(out, e.Digest[:]), ' ')
		case e.Kind == Link:
			out = append(appendQuoted(out, e.Target), ' ')
		}
		out = append(appendQuoted(out, e.Path), '\n')
	}
	return out
}

// appendQuoted does what strconv.AppendQuote does, and what has nothing to quote in it, as most names, in one piece.
func appendQuoted(out []byte, text string) []byte {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(out, text)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// Digest names the tree.
func (m Manifest) Digest() Digest { return DigestOf(m.Encode()) }

// Bytes returns the size of all files together.
func (m Manifest) Bytes() int64 {
	var sum int64
	for _, e := range m {
		sum += e.Size
	}
	return sum
}

// Digests returns the digests of the files in the order of their paths, each once.
func (m Manifest) Digests() []Digest {
	seen := make(map[Digest]bool, len(m))
	var all []Digest
	for _, e := range m {
		if e.IsFile() && !seen[e.Digest] {
			seen[e.Digest] = true
			all = append(all, e.Digest)
		}
	}
	return all
}

// DecodeManifest reads canonical bytes, which may come from anyone: what it returns is safe to unpack. Bytes that
// Encode would write otherwise are refused, so that a tree has one digest.
func DecodeManifest(content []byte) (Manifest, error) { return decodeManifest(content, Limits{}) }

func decodeManifest(content []byte, limits Limits) (Manifest, error) {
	rest, found := strings.CutPrefix(string(content), manifestHeader)
	if !found {
		return nil, fmt.Errorf("read a manifest: its first line is not %q: %w", manifestHeader, ErrMalformed)
	}
	var m Manifest
	for line := range strings.Lines(rest) {
		e, err := parseEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("read line %d of a manifest: %w", len(m)+2, err)
		}
		m = append(m, e)
	}
	if !bytes.Equal(m.Encode(), content) {
		return nil, fmt.Errorf("read a manifest: it is not in its canonical form: %w", ErrMalformed)
	}
	if err := m.Check(limits); err != nil {
		return nil, fmt.Errorf("read a manifest: %w", err)
	}
	return m, nil
}

func parseEntry(line string) (Entry, error) {
	kind, rest, _ := strings.Cut(line, " ")
	e := Entry{Kind: Kind(kind)}
	var err error
	switch e.Kind {
	case File, Executable:
		var size, digest string
		size, rest, _ = strings.Cut(rest, " ")
		digest, rest, _ = strings.Cut(rest, " ")
		if e.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
			return e, fmt.Errorf("size %q: %w", size, ErrMalformed)
		}
		if e.Digest, err = parseHex(digest); err != nil {
			return e, err
		}
	case Link:
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return e, fmt.Errorf("link target: %w", ErrMalformed)
		}
		e.Target, _ = strconv.Unquote(quoted)
		rest = strings.TrimPrefix(rest[len(quoted):], " ")
	case Folder:
	default:
		return e, fmt.Errorf("kind %q: %w", kind, ErrMalformed)
	}
	if e.Path, err = strconv.Unquote(rest); err != nil {
		return e, fmt.Errorf("path %s: %w", rest, ErrMalformed)
	}
	return e, nil
}

// Check says whether the tree is sorted, within the limits, and cannot lead out of itself.
func (m Manifest) Check(limits Limits) error {
	if err := limits.hold(m); err != nil {
		return err
	}
	leaves := make(map[string]bool, len(m)) // what nothing may lie below
	for i, e := range m {
		if err := e.check(); err != nil {
			return err
		}
		if i > 0 && m[i-1].Path >= e.Path {
			return fmt.Errorf("%q is out of order or twice there: %w", e.Path, ErrMalformed)
		}
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if leaves[dir] {
				return fmt.Errorf("%q lies below %q, which is no folder with content: %w", e.Path, dir, ErrUnsafe)
			}
		}
		leaves[e.Path] = true
	}
	return nil
}

func (e Entry) check() error {
	if err := checkName(e.Path); err != nil {
		return err
	}
	switch {
	case e.Size < 0:
		return fmt.Errorf("%q has the size %d: %w", e.Path, e.Size, ErrMalformed)
	case e.Kind == Link:
		return checkTarget(e.Path, e.Target)
	}
	return nil
}

func checkName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not UTF-8: %w", name, ErrUnsafe)
	case name == "." || !fs.ValidPath(name) || strings.ContainsRune(name, 0) || len(name) > maxPathBytes:
		return fmt.Errorf("the name %q: %w", name, ErrUnsafe)
	}
	return nil
}

// checkTarget allows ".." only where a target begins: behind a name that is itself a link, it would lead elsewhere
// than it reads.
func checkTarget(name, target string) error {
	unsafe := fmt.Errorf("the link %q leads to %q, which may be outside the tree: %w", name, target, ErrUnsafe)
	if target == "" || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") || len(target) > maxPathBytes || !utf8.ValidString(target) {
		return unsafe
	}
	parts := strings.Split(target, "/")
	up := 0
	for up < len(parts) && parts[up] == ".." {
		up++
	}
	if up > strings.Count(name, "/") || slices.Contains(parts[up:], "..") {
		return unsafe
	}
	return nil
}
