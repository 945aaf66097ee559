package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/forge"
)

// longestStatus is how many bytes a forge shows of a status: GitHub takes 140 characters.
const longestStatus = 140

// Statuses shows beside commits how they fare.
type Statuses struct {
	kinds  map[towpath.ForgeKind]forge.Kind
	token  func(ctx context.Context, project string) (string, error)
	url    string
	client *http.Client
	log    *slog.Logger
}

// StatusOptions are what statuses are shown with.
type StatusOptions struct {
	Kinds  map[towpath.ForgeKind]forge.Kind
	Token  func(ctx context.Context, project string) (string, error) // of a project, by its ID; empty where it has none
	URL    string                                                    // where people reach the server, without a slash at its end
	Client *http.Client                                              // which bounds the time of a call
	Log    *slog.Logger
}

// NewStatuses makes what shows statuses.
func NewStatuses(o StatusOptions) *Statuses {
	return &Statuses{kinds: o.Kinds, token: o.Token, url: o.URL, client: o.Client, log: o.Log}
}

// Show shows a status at the project's forge. A project without a token, or whose forge has no such thing, shows none. An
// error says that trying again may help; a forge that does not allow it is told of in the log only, as no later try would
// find another answer.
func (s *Statuses) Show(ctx context.Context, p towpath.Project, status towpath.Status) error {
	kind := s.kinds[p.Forge.Kind]
	if kind.Open == nil {
		return nil
	}
	token, err := s.token(ctx, p.ID)
	if err != nil || token == "" {
		return err
	}
	api, err := kind.Open(forge.Where{Server: p.Forge.URL, Path: p.Forge.Repository, Token: token, Client: s.client})
	if err != nil {
		return fmt.Errorf("open the forge of %s: %w", p.Name, err)
	}
	place := failpoint.At("show a status")
	place.Before()
	err = api.SetStatus(ctx, status.Revision, forge.Status{
		Context: status.Context, State: forge.State(status.State), Description: shortened(status.Text), URL: s.url + status.Path,
	})
	place.After()
	if errors.Is(err, forge.ErrDenied) || errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrUnsupported) {
		s.log.Warn("a forge does not take a status", "project", p.Name, "context", status.Context, "error", err)
		return nil
	}
	return err
}

// shortened is the first line of a text, as far as forges show it.
func shortened(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) <= longestStatus {
		return line
	}
	cut := longestStatus - len("…")
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + "…"
}
