package forge

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long what a delivery says may be, in bytes.
const (
	maxName       = 250 // of a branch or a tag: a file system takes no more for one part of it
	maxRepository = 500
	maxText       = 300 // of what only people read: the rest is cut off
	maxURL        = 2000
)

// MaxEvents is the most that one delivery may tell of.
const MaxEvents = 2000

// Move is a reference that went from one hash to another, as a forge says it.
type Move struct {
	Repository string
	Ref        string // full name
	Before     string // full hash; empty or zeros where there was none
	After      string // likewise where there is none any more
	Commit     string // of a tag, the commit that it names, where the forge says it
}

// Event reads the move of a branch or a tag. That of any other reference means nothing to us.
func (m Move) Event() (Event, error) {
	e := Event{Repository: m.Repository}
	branch, isBranch := strings.CutPrefix(m.Ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(m.Ref, "refs/tags/")
	switch {
	case isBranch:
		e.Kind, e.Branch = EventPush, branch
	case isTag:
		e.Kind, e.Tag = EventTag, tag
	default:
		return Other(m.Repository, "a push to "+m.Ref)
	}
	if isTag && m.Commit != "" && !isZero(m.After) {
		m.After = m.Commit
	}
	return e, errors.Join(
		checkRepository(m.Repository), checkName(branchOr(e)), fill(&e.Before, m.Before), fill(&e.After, m.After))
}

func branchOr(e Event) string {
	if e.Kind == EventTag {
		return e.Tag
	}
	return e.Branch
}

// Other answers an event that we do not act on.
func Other(repository, note string) (Event, error) {
	return Event{Kind: EventOther, Repository: repository, Note: cleaned(note)}, checkRepository(repository)
}

// Ping answers the event of a webhook that was set up or tried.
func Ping(repository string) (Event, error) {
	return Event{Kind: EventPing, Repository: repository}, checkRepository(repository)
}

// Requested reads what happened to a pull request: kind is EventRequestOpen or EventRequestClosed.
func Requested(kind EventKind, repository string, r Request) (Event, error) {
	head := r.HeadSHA
	r.HeadSHA = ""
	problems := []error{checkRepository(repository), checkName(r.Base), checkName(r.Head), fill(&r.HeadSHA, head)}
	if r.Number <= 0 {
		problems = append(problems, errors.New("the pull request has no number"))
	}
	r.Title, r.Author, r.URL = cleaned(r.Title), cleaned(r.Author), link(r.URL)
	r.Changed = r.Changed && kind == EventRequestOpen
	return Event{Kind: kind, Repository: repository, Request: &r}, errors.Join(problems...)
}

// fill takes a hash, in small letters. One of zeros is none.
func fill(into *string, hash string) error {
	if !isZero(hash) && !isHash(hash) {
		return fmt.Errorf("%q is no full hash of a commit", cut(hash, 80))
	}
	if !isZero(hash) {
		*into = strings.ToLower(hash)
	}
	return nil
}

func isZero(hash string) bool {
	return hash == "" || (len(hash) == 40 || len(hash) == 64) && strings.Trim(hash, "0") == ""
}

// isHash says that a text is a hash of SHA-1 or SHA-256.
func isHash(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// FullHash answers a hash, or nothing where it was shortened.
func FullHash(hash string) string {
	if !isHash(hash) {
		return ""
	}
	return hash
}

// checkName holds a branch or a tag to git's own rules for names (git check-ref-format), and to a length.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the delivery names no branch or tag")
	case len(name) > maxName:
		return fmt.Errorf("the name %q... is longer than %d bytes", cut(name, 40), maxName)
	case strings.ContainsFunc(name, isForbidden), hasForbiddenPart(name):
		return fmt.Errorf("git allows no branch or tag of the name %q", name)
	}
	return nil
}

// isForbidden also keeps out what stands for bytes that were no UTF-8: with it the name would be another one.
func isForbidden(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || strings.ContainsRune(" ~^:?*[\\", r)
}

func hasForbiddenPart(name string) bool {
	if name == "@" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return true
		}
	}
	return false
}

func checkRepository(path string) error {
	if len(path) > maxRepository || !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return fmt.Errorf("the delivery is of a repository of no possible name: %q", cut(path, 80))
	}
	return nil
}

// cleaned makes one short line of what people are to read.
func cleaned(text string) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return cut(strings.TrimSpace(line), maxText)
}

// link answers an address that a page may link to, or nothing.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxURL || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return address
}

// cut shortens a text to so many bytes, between two characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
