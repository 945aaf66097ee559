package github

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads GitHub's deliveries.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
type hooks struct{}

// Verify holds X-Hub-Signature-256 to the body as it arrived, also where that is a form. The older X-Hub-Signature is of
// SHA-1, and is not looked at.
func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	return forge.VerifyHMAC(header, "X-Hub-Signature-256", "sha256=", body, secrets)
}

func (hooks) Identify(header http.Header) (id, event string) {
	return header.Get("X-GitHub-Delivery"), header.Get("X-GitHub-Event")
}

func (h hooks) Parse(header http.Header, body []byte) ([]forge.Event, error) {
	body, err := payload(header, body)
	if err != nil {
		return nil, err
	}
	_, name := h.Identify(header)
	event, err := parse(name, body)
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}

// payload unwraps a webhook that was set up with GitHub's other content type, a form with the JSON in one field.
func payload(header http.Header, body []byte) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	if len(body) > forge.MaxBody {
		return nil, fmt.Errorf("the delivery has more than %d bytes", forge.MaxBody)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("read the form of the delivery: %w", err)
	}
	if len(form["payload"]) != 1 {
		return nil, errors.New("the form of the delivery has no single field payload")
	}
	return []byte(form.Get("payload")), nil
}

type repository struct {
	FullName string `json:"full_name"`
	ID       int64  `json:"id"`
}

func parse(name string, body []byte) (forge.Event, error) {
	switch name {
	case "push":
		return parsePush(body)
	case "pull_request":
		return parseRequest(body)
	}
	var d struct {
		Repository repository `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	if name == "ping" {
		return forge.Ping(d.Repository.FullName)
	}
	return forge.Other(d.Repository.FullName, "GitHub's event "+name)
}

func parsePush(body []byte) (forge.Event, error) {
	var d struct {
		Ref        string     `json:"ref"`
		Before     string     `json:"before"`
		After      string     `json:"after"`
		Repository repository `json:"repository"`
		HeadCommit *struct {
			ID string `json:"id"`
		} `json:"head_commit"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	move := forge.Move{Repository: d.Repository.FullName, Ref: d.Ref, Before: d.Before, After: d.After}
	if d.HeadCommit != nil {
		move.Commit = d.HeadCommit.ID
	}
	return move.Event()
}

// side is where a pull request comes from or goes to.
type side struct {
	Ref  string      `json:"ref"`
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"` // null once the fork was deleted
}

type requestDelivery struct {
	Action      string `json:"action"`
	Number      int    `json:"number"`
	PullRequest struct {
		Title   string                 `json:"title"`
		HTMLURL string                 `json:"html_url"`
		Draft   bool                   `json:"draft"`
		User    struct{ Login string } `json:"user"`
		Base    side                   `json:"base"`
		Head    side                   `json:"head"`
	} `json:"pull_request"`
	Changes struct {
		Base *struct{} `json:"base"`
	} `json:"changes"`
	Repository repository `json:"repository"`
}

func parseRequest(body []byte) (forge.Event, error) {
	var d requestDelivery
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	kind, changed := forge.EventRequestOpen, false
	switch d.Action {
	case "opened", "reopened", "synchronize", "ready_for_review":
		changed = true
	case "edited":
		changed = d.Changes.Base != nil
	case "closed":
		kind = forge.EventRequestClosed
	case "converted_to_draft":
	default: // labels, reviewers, assignees and the like
		return forge.Other(d.Repository.FullName, "a pull request was "+d.Action)
	}
	p := d.PullRequest
	return forge.Requested(kind, d.Repository.FullName, forge.Request{
		Number: d.Number, Title: p.Title, URL: p.HTMLURL, Author: p.User.Login, Draft: p.Draft,
		Base: p.Base.Ref, Head: p.Head.Ref, HeadSHA: p.Head.SHA,
		Fork:    p.Head.Repo == nil || p.Base.Repo == nil || p.Head.Repo.ID != p.Base.Repo.ID,
		Ref:     fmt.Sprintf("refs/pull/%d/head", d.Number),
		Changed: changed,
	})
}
