package generic

import (
	"errors"
	"net/http"
	"strings"

	"github.com/towpath-cd/towpath/internal/forge"
)

// hooks reads deliveries that a script makes, as docs/webhooks.md describes.
type hooks struct{}

func (hooks) Verify(header http.Header, body []byte, secrets []string) error {
	return forge.VerifyHMAC(header, "Towpath-Signature", "sha256=", body, secrets)
}

// Identify answers "push" for the event, unless the delivery says "ping".
func (hooks) Identify(header http.Header) (id, event string) {
	event = header.Get("Towpath-Event")
	if event == "" {
		event = "push"
	}
	return header.Get("Towpath-Delivery"), event
}

func (h hooks) Parse(header http.Header, body []byte) ([]forge.Event, error) {
	var d struct {
		Ref        string `json:"ref"`
		Before     string `json:"before"`
		After      string `json:"after"`
		Repository string `json:"repository"`
	}
	if err := forge.Decode(body, &d); err != nil {
		return nil, err
	}
	var event forge.Event
	var err error
	switch _, name := h.Identify(header); {
	case name == "ping":
		event, err = forge.Ping(d.Repository)
	case name != "push":
		event, err = forge.Other(d.Repository, "the event "+name)
	case !strings.HasPrefix(d.Ref, "refs/heads/") && !strings.HasPrefix(d.Ref, "refs/tags/"):
		err = errors.New(`the "ref" of the delivery is neither refs/heads/BRANCH nor refs/tags/TAG`)
	default:
		event, err = forge.Move{Repository: d.Repository, Ref: d.Ref, Before: d.Before, After: d.After}.Event()
	}
	if err != nil {
		return nil, err
	}
	return []forge.Event{event}, nil
}
