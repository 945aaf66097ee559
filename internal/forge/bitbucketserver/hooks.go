package bitbucketserver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads the deliveries of Bitbucket Data Center, formerly Server.
// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
type hooks struct{}

// Verify holds X-Hub-Signature, which is of SHA-256 here.
func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	return forge.VerifyHMAC(header, "X-Hub-Signature", "sha256=", body, secrets)
}

func (hooks) Identify(header http.Header) (id, event string) {
	return header.Get("X-Request-Id"), header.Get("X-Event-Key")
}

func (h hooks) Parse(header http.Header, body []byte) ([]forge.Event, error) {
	switch _, name := h.Identify(header); name {
	case "repo:refs_changed":
		return parsePush(body)
	case "pr:opened", "pr:from_ref_updated", "pr:modified":
		return parseRequest(body, name, forge.EventRequestOpen)
	case "pr:merged", "pr:declined", "pr:deleted":
		return parseRequest(body, name, forge.EventRequestClosed)
	case "diagnostics:ping": // its body names no repository
		return one(forge.Ping(""))
	default:
		return parseOther(name, body)
	}
}

func one(event forge.Event, err error) ([]forge.Event, error) {
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}

func parseOther(name string, body []byte) ([]forge.Event, error) {
	var d struct {
		Repository repository `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	return one(forge.Other(d.Repository.path(), "Bitbucket's event "+name))
}

type repository struct {
	ID      int64                `json:"id"`
	Slug    string               `json:"slug"`
	Project struct{ Key string } `json:"project"`
}

func (r repository) path() string {
	if r.Project.Key == "" && r.Slug == "" {
		return ""
	}
	return r.Project.Key + "/" + r.Slug
}

// parsePush reads all references of a push.
func parsePush(body []byte) ([]forge.Event, error) {
	var d struct {
		Repository repository `json:"repository"`
		Changes    []struct {
			Ref  struct{ ID string } `json:"ref"`
			From string              `json:"fromHash"`
			To   string              `json:"toHash"`
		} `json:"changes"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	if len(d.Changes) > forge.MaxEvents {
		return nil, fmt.Errorf("the delivery tells of %d references, more than %d", len(d.Changes), forge.MaxEvents)
	}
	var events []forge.Event
	for _, c := range d.Changes {
		event, err := forge.Move{Repository: d.Repository.path(), Ref: c.Ref.ID, Before: c.From, After: c.To}.Event()
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// side is where a pull request comes from or goes to.
type side struct {
	ID           string      `json:"id"`
	LatestCommit string      `json:"latestCommit"`
	Repository   *repository `json:"repository"`
}

func (s side) branch() string { return strings.TrimPrefix(s.ID, "refs/heads/") }

type requestDelivery struct {
	PullRequest struct {
		Number      int    `json:"id"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Draft       bool   `json:"draft"` // since 8.18
		Head        side   `json:"fromRef"`
		Base        side   `json:"toRef"`
		Author      struct {
			User struct{ Name string } `json:"user"`
		} `json:"author"`
		Links struct {
			Self []struct{ Href string } `json:"self"`
		} `json:"links"`
	} `json:"pullRequest"`
	PreviousTitle       string              `json:"previousTitle"`
	PreviousDescription string              `json:"previousDescription"`
	PreviousTarget      struct{ ID string } `json:"previousTarget"`
}

// parseRequest reads a pull request with the event's name, which tells whether commits came.
func parseRequest(body []byte, name string, kind forge.EventKind) ([]forge.Event, error) {
	var d requestDelivery
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	p := d.PullRequest
	if p.Base.Repository == nil {
		return nil, errors.New("the delivery does not say which repository the pull request goes to")
	}
	r := forge.Request{
		Number: p.Number, Title: p.Title, Author: p.Author.User.Name, Draft: p.Draft,
		Base: p.Base.branch(), Head: p.Head.branch(), HeadSHA: p.Head.LatestCommit,
		Fork:    p.Head.Repository == nil || p.Head.Repository.ID != p.Base.Repository.ID,
		Ref:     fmt.Sprintf("refs/pull-requests/%d/from", p.Number),
		Changed: name != "pr:modified" || !d.areOnlyWords(),
	}
	if len(p.Links.Self) > 0 {
		r.URL = p.Links.Self[0].Href
	}
	return one(forge.Requested(kind, p.Base.Repository.path(), r))
}

// areOnlyWords says that a pull request was modified in its title or its description, and nowhere else. Where both are what
// they were it is something that the delivery does not tell, such as that it is no draft any more.
func (d requestDelivery) areOnlyWords() bool {
	p := d.PullRequest
	same := d.PreviousTitle == p.Title && d.PreviousDescription == p.Description
	return !same && d.PreviousTarget.ID == p.Base.ID
}
