package forge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Webhook is a webhook as a forge lists it.
type Webhook[ID any] struct {
	ID  ID
	URL string
}

// Webhooks is the calls by which one repository's webhooks are read and written.
type Webhooks[ID any] struct {
	List   func() ([]Webhook[ID], error)
	Create func() error
	Change func(ID) error // nil where a forge keeps the old secret, so that only a new webhook has a new one
	Delete func(ID) error
}

// Set sees to it that there is one webhook for a URL, with what Create or Change gives it. Where it has to be a new one the
// old one goes last, so that no push is missed; meanwhile one may be delivered twice.
func (w Webhooks[ID]) Set(url string) error {
	ours, err := w.of(url)
	switch {
	case err != nil:
		return err
	case len(ours) > 0 && w.Change != nil:
		err, ours = w.Change(ours[0].ID), ours[1:]
	default:
		err = w.Create()
	}
	if err != nil {
		return err
	}
	return w.delete(ours)
}

// Remove deletes the webhooks for a URL.
func (w Webhooks[ID]) Remove(url string) error {
	ours, err := w.of(url)
	if err != nil {
		return err
	}
	return w.delete(ours)
}

func (w Webhooks[ID]) of(url string) ([]Webhook[ID], error) {
	all, err := w.List()
	isAnothers := func(h Webhook[ID]) bool { return strings.TrimSuffix(h.URL, "/") != strings.TrimSuffix(url, "/") }
	return slices.DeleteFunc(all, isAnothers), err
}

// delete passes over one that is gone already.
func (w Webhooks[ID]) delete(webhooks []Webhook[ID]) error {
	for _, h := range webhooks {
		if err := w.Delete(h.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// Pages reads a list page by page, from page 1. Read answers the page that follows, 0 where there is none.
func Pages(read func(page int) (next int, err error)) error {
	for page, count := 1, 0; page != 0; count++ {
		if count == MaxPages {
			return fmt.Errorf("the list has more than %d pages", MaxPages)
		}
		next, err := read(page)
		if err != nil {
			return err
		}
		page = next
	}
	return nil
}

// SameKey says that two lines of authorized_keys are the same key, whatever stands behind it.
func SameKey(one, other string) bool {
	a, b := strings.Fields(one), strings.Fields(other)
	return len(a) >= 2 && len(b) >= 2 && a[0] == b[0] && a[1] == b[1]
}

// Short makes of what people read one line of at most so many characters.
func Short(text string, limit int) string {
	runes := []rune(cleaned(text))
	return string(runes[:min(len(runes), limit)])
}

// SplitPath takes a path of two parts apart, such as ana/shop.
func SplitPath(path string) (owner, name string, err error) {
	owner, name, found := strings.Cut(path, "/")
	if !found || owner == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%w: its path %q is not of the form OWNER/NAME", ErrNotFound, cut(path, 80))
	}
	return owner, name, checkPath(path)
}

// CheckRevision holds what a status is set on to a full hash.
func CheckRevision(revision string) error {
	if !isHash(revision) {
		return fmt.Errorf("%q is no full hash of a commit", cut(revision, 80))
	}
	return nil
}

// Unless answers what a call has told, or nothing where the token is not allowed to ask.
func Unless[T any](told []T, err error) ([]T, error) {
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return told, err
}

// Words is how a forge calls the states of a status.
type Words struct{ Pending, Success, Failure string }

// Of answers the forge's word. What was skipped counts as a success.
func (w Words) Of(s State) (string, error) {
	switch s {
	case StatePending:
		return w.Pending, nil
	case StateSuccess, StateSkipped:
		return w.Success, nil
	case StateFailure:
		return w.Failure, nil
	}
	return "", fmt.Errorf("a status is never %q", s)
}
