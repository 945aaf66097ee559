package trigger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
)

// Reading is what a delivery says.
type Reading struct {
	Changes []towpath.Change
	Closed  []string // lines of pull requests that are over
	Note    string   // why it makes no change, or not more; for people
}

// Read answers what a delivery says. An error is for people, and the same each time that it is read.
func (i *Inbox) Read(p towpath.Project, d store.StoredDelivery) (r Reading, err error) {
	defer func() {
		if fault := recover(); fault != nil { // a delivery that is poison shall not be read again and again
			err = fmt.Errorf("it cannot be read: %v", fault)
		}
	}()
	hooks, is := i.kinds[p.Forge.Kind]
	if !is {
		return r, fmt.Errorf("nobody knows the webhooks of %q", p.Forge.Kind)
	}
	body, err := i.Body(d)
	if err != nil {
		return r, err
	}
	events, err := hooks.Parse(d.Header, body)
	if err != nil {
		return r, err
	}
	var notes []string
	for _, e := range events {
		if note := r.take(p, d, e); note != "" && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	r.Note = strings.Join(notes, "; ")
	return r, nil
}

// take takes an event in, and answers why it makes no change, where it makes none.
func (r *Reading) take(p towpath.Project, d store.StoredDelivery, e forge.Event) (note string) {
	switch e.Kind {
	case forge.EventPing:
		return "the webhook works"
	case forge.EventPush:
		return r.push(p, d, e)
	case forge.EventTag:
		return r.tag(p, d, e)
	case forge.EventRequestOpen:
		return r.request(p, d, e)
	case forge.EventRequestClosed:
		r.Closed = append(r.Closed, towpath.PullRequestLine(e.Request.Number))
		return fmt.Sprintf("pull request %d is closed", e.Request.Number)
	}
	if e.Note == "" {
		return "it says nothing that starts runs"
	}
	return e.Note
}

func (r *Reading) push(p towpath.Project, d store.StoredDelivery, e forge.Event) (note string) {
	switch {
	case towpath.IsLine(e.Branch):
		return fmt.Sprintf("branch %s is called like a tag or a pull request", e.Branch)
	case e.After == "":
		return fmt.Sprintf("branch %s was deleted", e.Branch)
	}
	return r.add(towpath.Change{
		Project: p.ID, Branch: e.Branch, Revision: e.After, Before: e.Before, Trigger: towpath.TriggerPush,
		Trusted: IsProtected(p, e.Branch), SeenAt: d.ArrivedAt,
	})
}

func (r *Reading) tag(p towpath.Project, d store.StoredDelivery, e forge.Event) (note string) {
	if e.After == "" {
		return fmt.Sprintf("tag %s was deleted", e.Tag)
	}
	return r.add(towpath.Change{Project: p.ID, Branch: towpath.TagLine(e.Tag), Revision: e.After, Trigger: towpath.TriggerTag, SeenAt: d.ArrivedAt})
}

func (r *Reading) request(p towpath.Project, d store.StoredDelivery, e forge.Event) (note string) {
	q := e.Request
	if !q.Changed {
		return fmt.Sprintf("pull request %d has no new commits", q.Number)
	}
	if q.HeadSHA == "" && q.Ref == "" {
		return fmt.Sprintf("the forge says neither the full hash of pull request %d nor where its commits are", q.Number)
	}
	change := towpath.Change{
		Project: p.ID, Branch: towpath.PullRequestLine(q.Number), Revision: q.HeadSHA, Trigger: towpath.TriggerPullRequest,
		SeenAt: d.ArrivedAt, Request: &towpath.PullRequest{
			Number: q.Number, Title: q.Title, URL: q.URL, Author: q.Author, Base: q.Base, Head: q.Head, Fork: q.Fork, Ref: q.Ref,
		},
	}
	if change.Revision == "" { // which is looked up
		r.Changes = append(r.Changes, change)
		return ""
	}
	return r.add(change)
}

// add takes a change whose revision can be one.
func (r *Reading) add(c towpath.Change) (note string) {
	if !git.IsHash(c.Revision) {
		return fmt.Sprintf("%q is not the full hash of a commit", clip(c.Revision))
	}
	r.Changes = append(r.Changes, c)
	return ""
}
