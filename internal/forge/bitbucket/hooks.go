package bitbucket

import (
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads Bitbucket Cloud's deliveries.
// https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
type hooks struct{}

// Verify holds X-Hub-Signature, which is of SHA-256 here.
func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	return forge.VerifyHMAC(header, "X-Hub-Signature", "sha256=", body, secrets)
}

func (hooks) Identify(header http.Header) (id, event string) {
	return header.Get("X-Request-UUID"), header.Get("X-Event-Key")
}

func (h hooks) Parse(header http.Header, body []byte) ([]forge.Event, error) {
	_, name := h.Identify(header)
	switch name {
	case "repo:push":
		return parsePush(body)
	case "pullrequest:created", "pullrequest:updated", "pullrequest:push":
		return parseRequest(body, forge.EventRequestOpen)
	case "pullrequest:fulfilled", "pullrequest:rejected":
		return parseRequest(body, forge.EventRequestClosed)
	}
	var d struct {
		Repository repository `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	return one(forge.Other(d.Repository.FullName, "Bitbucket's event "+name))
}

func one(event forge.Event, err error) ([]forge.Event, error) {
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}

type repository struct {
	UUID     string `json:"uuid"`
	FullName string `json:"full_name"`
}

// reference is a branch or a tag.
type reference struct {
	Type   string                `json:"type"`
	Name   string                `json:"name"`
	Target struct{ Hash string } `json:"target"` // the commit, also of an annotated tag
}

type change struct {
	Old *reference `json:"old"` // null where it was made just now
	New *reference `json:"new"` // null where it was deleted
}

func parsePush(body []byte) ([]forge.Event, error) {
	var d struct {
		Repository repository `json:"repository"`
		Push       struct {
			Changes []change `json:"changes"`
		} `json:"push"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	if len(d.Push.Changes) > forge.MaxEvents {
		return nil, fmt.Errorf("the delivery tells of %d references, more than %d", len(d.Push.Changes), forge.MaxEvents)
	}
	var events []forge.Event
	for _, c := range d.Push.Changes {
		event, err := c.event(d.Repository.FullName)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

func (c change) event(repository string) (forge.Event, error) {
	moved := c.New
	if moved == nil {
		moved = c.Old
	}
	if moved == nil {
		return forge.Other(repository, "a push of nothing")
	}
	folder, known := map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[moved.Type]
	if !known {
		return forge.Other(repository, "a push to a "+moved.Type)
	}
	return forge.Move{Repository: repository, Ref: folder + moved.Name, Before: c.Old.hash(), After: c.New.hash()}.Event()
}

func (r *reference) hash() string {
	if r == nil {
		return ""
	}
	return r.Target.Hash
}

// side is where a pull request comes from or goes to.
type side struct {
	Branch     struct{ Name string } `json:"branch"`
	Commit     struct{ Hash string } `json:"commit"`     // shortened
	Repository *repository           `json:"repository"` // null once the fork was deleted
}

type requestDelivery struct {
	PullRequest struct {
		Number int                                  `json:"id"`
		Title  string                               `json:"title"`
		Draft  bool                                 `json:"draft"`
		Author struct{ Nickname string }            `json:"author"`
		Links  struct{ HTML struct{ Href string } } `json:"links"`
		Head   side                                 `json:"source"`
		Base   side                                 `json:"destination"`
	} `json:"pullrequest"`
	Repository repository `json:"repository"`
}

// parseRequest cannot tell what an update changed, for Bitbucket does not: it may be commits.
func parseRequest(body []byte, kind forge.EventKind) ([]forge.Event, error) {
	var d requestDelivery
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	p := d.PullRequest
	r := forge.Request{
		Number: p.Number, Title: p.Title, URL: p.Links.HTML.Href, Author: p.Author.Nickname, Draft: p.Draft,
		Base: p.Base.Branch.Name, Head: p.Head.Branch.Name, HeadSHA: forge.FullHash(p.Head.Commit.Hash),
		Fork:    isFork(p.Head.Repository, p.Base.Repository),
		Changed: true,
	}
	if !r.Fork { // Bitbucket keeps no references of pull requests
		r.Ref = "refs/heads/" + r.Head
	}
	return one(forge.Requested(kind, d.Repository.FullName, r))
}

func isFork(head, base *repository) bool {
	return head == nil || base == nil || head.UUID == "" || head.UUID != base.UUID
}
