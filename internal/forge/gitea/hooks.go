package gitea

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads the deliveries of Gitea and Forgejo.
// https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/
type hooks struct{}

// signatures are the headers that they sign with, all with the same HMAC. X-Hub-Signature is of SHA-1.
var signatures = []struct{ name, prefix string }{
	{"X-Forgejo-Signature", ""}, {"X-Gitea-Signature", ""}, {"X-Hub-Signature-256", "sha256="},
}

// Verify holds every signature that is there to the body: one that is forged is not made good by another.
func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	found := false
	for _, signature := range signatures {
		if header.Get(signature.name) == "" && len(header.Values(signature.name)) < 2 {
			continue
		}
		if err := forge.VerifyHMAC(header, signature.name, signature.prefix, body, secrets); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return fmt.Errorf("%w: it has none of the headers X-Gitea-Signature, X-Forgejo-Signature and X-Hub-Signature-256",
			forge.ErrUnsigned)
	}
	return nil
}

func (hooks) Identify(header http.Header) (id, event string) {
	return either(header, "Delivery"), either(header, "Event")
}

// either reads a header that Forgejo sends under both names.
func either(header http.Header, name string) string {
	if value := header.Get("X-Forgejo-" + name); value != "" {
		return value
	}
	return header.Get("X-Gitea-" + name)
}

func (h hooks) Parse(header http.Header, body []byte) ([]forge.Event, error) {
	_, name := h.Identify(header)
	event, err := parse(name, body)
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}

type repository struct {
	FullName string `json:"full_name"`
	ID       int64  `json:"id"`
}

func parse(name string, body []byte) (forge.Event, error) {
	switch name {
	case "push":
		return parsePush(body)
	case "delete":
		return parseDelete(body)
	case "pull_request":
		return parseRequest(body)
	}
	var d struct {
		Repository repository `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	return forge.Other(d.Repository.FullName, "the event "+name)
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

// parseDelete reads that a branch was deleted, of which there is no push. Of a tag there is one too, and this tells it again.
func parseDelete(body []byte) (forge.Event, error) {
	var d struct {
		Ref        string     `json:"ref"` // short
		RefType    string     `json:"ref_type"`
		Repository repository `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	folder, known := map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[d.RefType]
	if !known {
		return forge.Event{}, errors.New("the delivery says that something was deleted which is no branch and no tag")
	}
	return forge.Move{Repository: d.Repository.FullName, Ref: folder + d.Ref}.Event()
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
		Flow    int                    `json:"flow"` // Forgejo: not 0 where it was made by a push to refs/for/
		User    struct{ Login string } `json:"user"`
		Base    side                   `json:"base"`
		Head    side                   `json:"head"`
	} `json:"pull_request"`
	Changes struct {
		Ref   *struct{}              `json:"ref"` // of the branch that it goes to
		Title *struct{ From string } `json:"title"`
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
	case "opened", "reopened", "synchronized":
		changed = true
	case "edited":
		changed = d.Changes.Ref != nil || d.isReadyNow()
	case "closed":
		kind = forge.EventRequestClosed
	default: // labels, reviewers, assignees and the like
		return forge.Other(d.Repository.FullName, "a pull request was "+d.Action)
	}
	p := d.PullRequest
	return forge.Requested(kind, d.Repository.FullName, forge.Request{
		Number: d.Number, Title: p.Title, URL: p.HTMLURL, Author: p.User.Login, Draft: p.Draft,
		Base: p.Base.Ref, Head: p.Head.Ref, HeadSHA: p.Head.SHA,
		Fork:    d.isFork(),
		Ref:     fmt.Sprintf("refs/pull/%d/head", d.Number),
		Changed: changed,
	})
}

// isFork says that people wrote it who may not push to the repository. Whoever may read that may push to refs/for/, which
// makes a pull request of the repository itself whose commits are at no branch: such a one counts as a fork.
// https://docs.gitea.com/usage/agit
func (d requestDelivery) isFork() bool {
	head, base := d.PullRequest.Head, d.PullRequest.Base
	return head.Repo == nil || base.Repo == nil || head.Repo.ID != base.Repo.ID ||
		strings.HasPrefix(head.Ref, "refs/") || d.PullRequest.Flow != 0
}

// isReadyNow says that it is no draft any more: one is a draft by what its title begins with.
func (d requestDelivery) isReadyNow() bool {
	if d.PullRequest.Draft || d.Changes.Title == nil {
		return false
	}
	before := strings.ToUpper(d.Changes.Title.From)
	return strings.HasPrefix(before, "WIP:") || strings.HasPrefix(before, "[WIP]")
}
