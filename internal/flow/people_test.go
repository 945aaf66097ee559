package flow_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// person adds an account in groups.
func (h *house) person(name string, groups ...string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		known, err := tx.Groups()
		if err != nil {
			return err
		}
		a := store.Account{ID: "account-" + name, Name: name, Email: name + "@example.com"}
		if err := tx.CreateAccount(a); err != nil {
			return err
		}
		for _, group := range groups {
			if !slices.Contains(known, group) {
				if err := tx.CreateGroup(group, h.clock.Now()); err != nil {
					return err
				}
			}
			if err := tx.AddMember(group, a.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

func unrecorded(*store.Tx) error { return nil }

func (h *house) decide(run, step, who string, approved bool) (towpath.Approval, error) {
	h.t.Helper()
	intent := h.approval(run, step).Intent
	a, err := h.Decide(h.t.Context(), run+"/"+step, intent, towpath.Decision{Account: who, Approved: approved}, unrecorded)
	h.settle()
	return a, err
}

func (h *house) approve(run, step, who string) {
	h.t.Helper()
	good(h.decide(run, step, who, true))(h.t)
}

func (h *house) start(w flow.Wish) ([]towpath.Run, error) {
	h.t.Helper()
	w.Project, w.By, w.Record = h.project.ID, "bob", unrecorded
	runs, err := h.StartRun(h.t.Context(), w)
	h.settle()
	return runs, err
}

// receiver is where alerts are posted to.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	received []delivery
	answer   int // status
}

type delivery struct{ key, body string }

func newReceiver(t testing.TB) *receiver {
	r := &receiver{answer: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.received = append(r.received, delivery{request.Header.Get("Towpath-Delivery"), string(body)})
		w.WriteHeader(r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

// of answers the alerts of a kind.
func (r *receiver) of(kind towpath.AlertKind) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.received), func(d delivery) bool {
		return !strings.Contains(d.body, fmt.Sprintf(`"kind":%q`, kind))
	})
}
