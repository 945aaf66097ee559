package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads GitLab's deliveries.
// https://docs.gitlab.com/user/project/integrations/webhook_events/
type hooks struct{}

// signing begins a signing token, which signs; any other secret is a secret token, which is sent along.
const signing = "whsec_"

// Verify holds webhook-signature to the body where one of the secrets is a signing token and GitLab has signed; elsewhere
// X-Gitlab-Token to the secrets.
// https://docs.gitlab.com/user/project/integrations/webhooks/#signing-tokens
func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	isSigning := func(secret string) bool { return strings.HasPrefix(secret, signing) }
	if slices.ContainsFunc(secrets, isSigning) && header.Get("Webhook-Signature") != "" {
		return verifySignature(header, body, secrets)
	}
	return forge.VerifyToken(header, "X-Gitlab-Token", slices.DeleteFunc(slices.Clone(secrets), isSigning))
}

// verifySignature follows Standard Webhooks: the HMAC is of the ID, the time and the body, in Base64. The header may hold
// several, from while a token is exchanged. How old it is nobody asks here: a delivery that comes again has the ID that it
// had, which is signed with it.
func verifySignature(header http.Header, body []byte, secrets []string) error {
	signatures, err := forge.Sole(header, "Webhook-Signature")
	if err != nil {
		return err
	}
	id, idErr := forge.Sole(header, "Webhook-Id")
	at, atErr := forge.Sole(header, "Webhook-Timestamp")
	if idErr != nil || atErr != nil {
		return fmt.Errorf("%w: it has not one Webhook-Id and one Webhook-Timestamp", forge.ErrUnsigned)
	}
	var claimed [][]byte
	for part := range strings.FieldsSeq(signatures) {
		mac, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(part, "v1,"))
		if strings.HasPrefix(part, "v1,") && err == nil && len(mac) == sha256.Size {
			claimed = append(claimed, mac)
		}
	}
	if len(claimed) == 0 || len(claimed) > maxSignatures {
		return fmt.Errorf("%w: Webhook-Signature holds no signature of the form v1,BASE64", forge.ErrUnsigned)
	}
	message := slices.Concat([]byte(id+"."+at+"."), body)
	return forge.OneOf(secrets, func(secret string) bool { return signs(secret, message, claimed) })
}

// maxSignatures bounds the work for a delivery that nobody has verified yet.
const maxSignatures = 8

// signs says that one of the signatures was made with a signing token, whose key is its Base64.
func signs(secret string, message []byte, claimed [][]byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, signing))
	if !strings.HasPrefix(secret, signing) || err != nil || len(key) == 0 {
		return false
	}
	made, fits := forge.MAC(key, message), false
	for _, mac := range claimed {
		if hmac.Equal(mac, made) {
			fits = true
		}
	}
	return fits
}

// Identify takes the ID that is signed where there is one. X-Gitlab-Event-UUID is none: deliveries that follow from one
// another share it.
func (hooks) Identify(header http.Header) (id, event string) {
	id = header.Get("Webhook-Id")
	if id == "" {
		id = header.Get("Idempotency-Key")
	}
	return id, header.Get("X-Gitlab-Event")
}

type project struct {
	Path string `json:"path_with_namespace"`
}

// Parse goes by what the body says that it is, which a signature covers and the header's name of the event is not covered by.
// GitLab sends no pings: who tries a webhook there sends a push.
func (hooks) Parse(_ http.Header, body []byte) ([]forge.Event, error) {
	var d struct {
		Kind    string  `json:"object_kind"`
		Project project `json:"project"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	var event forge.Event
	var err error
	switch d.Kind {
	case "push", "tag_push":
		event, err = parsePush(body)
	case "merge_request":
		event, err = parseRequest(body)
	default:
		event, err = forge.Other(d.Project.Path, "GitLab's event "+d.Kind)
	}
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}

func parsePush(body []byte) (forge.Event, error) {
	var d struct {
		Ref      string  `json:"ref"`
		Before   string  `json:"before"`
		After    string  `json:"after"`
		Checkout string  `json:"checkout_sha"` // the commit, also of an annotated tag
		Project  project `json:"project"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	move := forge.Move{Repository: d.Project.Path, Ref: d.Ref, Before: d.Before, After: d.After, Commit: d.Checkout}
	return move.Event()
}

type requestDelivery struct {
	User struct {
		ID       int64  `json:"id"`
		Username string `json:"username"`
	} `json:"user"` // who did it, not whose it is
	Project    project `json:"project"`
	Attributes struct {
		Number      int                 `json:"iid"`
		Title       string              `json:"title"`
		URL         string              `json:"url"`
		Author      int64               `json:"author_id"`
		Base        string              `json:"target_branch"`
		Head        string              `json:"source_branch"`
		BaseProject int64               `json:"target_project_id"`
		HeadProject int64               `json:"source_project_id"`
		Draft       bool                `json:"draft"`
		InProgress  bool                `json:"work_in_progress"` // what GitLab called it before 13.2
		Action      string              `json:"action"`
		OldRevision string              `json:"oldrev"` // only where commits came or went
		LastCommit  struct{ ID string } `json:"last_commit"`
	} `json:"object_attributes"`
	Changes struct {
		Draft *struct{} `json:"draft"`
		Base  *struct{} `json:"target_branch"`
	} `json:"changes"`
}

func parseRequest(body []byte) (forge.Event, error) {
	var d requestDelivery
	if err := forge.Decode(body, &d); err != nil {
		return forge.Event{}, err
	}
	a := d.Attributes
	kind, changed, draft := forge.EventRequestOpen, false, a.Draft || a.InProgress
	switch a.Action {
	case "open", "reopen":
		changed = true
	case "update":
		changed = a.OldRevision != "" || d.Changes.Base != nil || d.Changes.Draft != nil && !draft
	case "close", "merge":
		kind = forge.EventRequestClosed
	default: // approvals
		return forge.Other(d.Project.Path, "a merge request: "+a.Action)
	}
	author := ""
	if d.User.ID == a.Author {
		author = d.User.Username
	}
	return forge.Requested(kind, d.Project.Path, forge.Request{
		Number: a.Number, Title: a.Title, URL: a.URL, Author: author, Draft: draft,
		Base: a.Base, Head: a.Head, HeadSHA: a.LastCommit.ID,
		Fork:    a.HeadProject == 0 || a.HeadProject != a.BaseProject,
		Ref:     fmt.Sprintf("refs/merge-requests/%d/head", a.Number),
		Changed: changed,
	})
}
