package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	bookName    = "proxy.json"
	bookVersion = 1
)

// ErrBadState is returned when the state file cannot be understood. The proxy then refuses to start: to serve
// nothing, or something old, in silence would be worse.
var ErrBadState = errors.New("proxy state cannot be read")

// book is what lasts: the routes with their backends, and the highest epoch of each.
type book struct {
	Version int      `json:"version"`
	Routes  []record `json:"routes"`
}

// record is one route. A removed one keeps its epoch, so that who was refused stays refused.
type record struct {
	Routing
	Epoch     control.Epoch `json:"epoch"`
	IsRemoved bool          `json:"isRemoved,omitempty"`
}

// loadBook reads the folder's state file; without one the book is empty.
func loadBook(folder string) (book, error) {
	path := filepath.Join(folder, bookName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return book{Version: bookVersion}, nil
	}
	if err != nil {
		return book{}, fmt.Errorf("read proxy state: %w", err)
	}
	loaded, err := parseBook(content)
	if err != nil {
		return book{}, fmt.Errorf("%w: %s: %w; put back a good copy, or move the file away to start "+
			"without routes and let the keepers set them again", ErrBadState, path, err)
	}
	return loaded, nil
}

func parseBook(content []byte) (book, error) {
	var parsed book
	if err := json.Unmarshal(content, &parsed); err != nil {
		return book{}, err
	}
	if parsed.Version != bookVersion {
		return book{}, fmt.Errorf("it has version %d, this program reads version %d", parsed.Version, bookVersion)
	}
	for _, r := range parsed.Routes {
		if err := r.check(); err != nil {
			return book{}, fmt.Errorf("route %q: %w", r.Name, err)
		}
	}
	return parsed, nil
}

// save writes the book so that after a crash at any moment there is either the old one or the new one.
func (b book) save(folder string) error {
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("save proxy state: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(folder, bookName), content); err != nil {
		return fmt.Errorf("save proxy state: %w", err)
	}
	return nil
}

// route returns the record of that name, nil when there is none.
func (b *book) route(name string) *record {
	at := slices.IndexFunc(b.Routes, func(r record) bool { return r.Name == name })
	if at < 0 {
		return nil
	}
	return &b.Routes[at]
}

// clone returns a book that can be changed without changing this one.
func (b *book) clone() book {
	made := book{Version: b.Version, Routes: slices.Clone(b.Routes)}
	for i := range made.Routes {
		made.Routes[i].Backends = slices.Clone(made.Routes[i].Backends)
	}
	return made
}

// routings are the routes that are served.
func (b *book) routings() []Routing {
	var served []Routing
	for _, r := range b.Routes {
		if !r.IsRemoved {
			served = append(served, r.Routing)
		}
	}
	return served
}

// addresses are those that routes have for themselves.
func (b *book) addresses() []string {
	var all []string
	for _, r := range b.routings() {
		all = append(all, r.Listen...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// fence lets the epoch through and keeps it when it is higher than the route's. A lower one is refused, and
// an equal one of another holder.
func (r *record) fence(epoch control.Epoch) error {
	if epoch.Number == 0 || epoch.Holder == "" {
		return control.Refuse(control.CodeInvalid, "give the number and the holder of your epoch",
			"an order for route %q has no epoch", r.Name)
	}
	if epoch.Number < r.Epoch.Number || epoch.Number == r.Epoch.Number && epoch.Holder != r.Epoch.Holder {
		current := r.Epoch
		refused := control.Refuse(control.CodeStaleEpoch, "observe again, and ask for a higher epoch",
			"route %q is held by %q with epoch %d; this order has epoch %d of %q",
			r.Name, current.Holder, current.Number, epoch.Number, epoch.Holder)
		refused.Current = &current
		return refused
	}
	r.Epoch = epoch
	return nil
}
