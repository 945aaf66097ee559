package web

import (
	"context"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// hookLooks looks up what deliveries are checked by. Those of one project that arrive while a look is under way share the
// next one: nobody is answered with what was read before they came, so that a secret counts from the moment at which it was
// set, and a burst costs few reads.
type hookLooks struct {
	store   *store.Store
	secrets func(tx *store.Tx, project string) ([]string, error)

	mutex sync.Mutex
	next  map[string]*hookLook // by project's name; there is an entry while a look is under way, nil if nobody waits for another
}

// hookLook is one look, and what it found.
type hookLook struct {
	done    chan struct{}
	project towpath.Project
	secrets []string // newest first
	err     error
}

func newHookLooks(s *store.Store, secrets func(tx *store.Tx, project string) ([]string, error)) *hookLooks {
	return &hookLooks{store: s, secrets: secrets, next: map[string]*hookLook{}}
}

// at answers a project, by its name, and its webhook's secrets, as they are after the call began.
func (h *hookLooks) at(ctx context.Context, name string) (towpath.Project, []string, error) {
	look := h.join(context.WithoutCancel(ctx), name)
	select {
	case <-look.done:
		return look.project, look.secrets, look.err
	case <-ctx.Done():
		return towpath.Project{}, nil, context.Cause(ctx)
	}
}

// join answers a look that has not begun.
func (h *hookLooks) join(ctx context.Context, name string) *hookLook {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	look, busy := h.next[name]
	if look != nil {
		return look
	}
	look = &hookLook{done: make(chan struct{})}
	if busy {
		h.next[name] = look
		return look
	}
	h.next[name] = nil
	go h.run(ctx, name, look)
	return look
}

// run makes looks until nobody waits for another.
func (h *hookLooks) run(ctx context.Context, name string, look *hookLook) {
	for look != nil {
		look.err = h.store.View(ctx, func(tx *store.Tx) (err error) {
			if look.project, _, err = tx.Project(name); err != nil {
				return err
			}
			look.secrets, err = h.secrets(tx, look.project.ID)
			return err
		})
		close(look.done)
		look = h.following(name)
	}
}

// following answers the look that others wait for; nil where nobody does.
func (h *hookLooks) following(name string) *hookLook {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	look := h.next[name]
	if look == nil {
		delete(h.next, name)
	} else {
		h.next[name] = nil
	}
	return look
}
