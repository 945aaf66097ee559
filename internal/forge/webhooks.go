package forge

import (
	"errors"
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
