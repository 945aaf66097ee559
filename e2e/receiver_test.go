//go:build linux

package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// alert is a delivery to the webhook.
type alert struct {
	Key, Kind, Subject, Text, Environment, Step string
}

// receiver takes alerts.
type receiver struct {
	server *httptest.Server
	mutex  sync.Mutex
	got    []alert
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) url() string { return r.server.URL }

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	a := alert{Key: request.Header.Get("Towpath-Delivery")}
	if err := json.NewDecoder(request.Body).Decode(&a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.got = append(r.got, a)
}

// of answers the alerts of a kind, in the order in which they came.
func (r *receiver) of(kind string) []alert {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(r.got), func(a alert) bool { return a.Kind != kind })
}

// alerted waits until as many alerts of a kind have come, and no more.
func (s *site) alerted(kind string, count int) []alert {
	s.Helper()
	until(s, "an alert "+kind, func() bool { return len(s.receives.of(kind)) >= count })
	got := s.receives.of(kind)
	if len(got) != count {
		s.Fatalf("%d alerts %s, not %d: %+v", len(got), kind, count, got)
	}
	return got
}
