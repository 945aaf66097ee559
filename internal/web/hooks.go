package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

const (
	// arrivalTime is how long a delivery may take to arrive. Forges give up after 10 s themselves.
	arrivalTime = 15 * time.Second
	// usualDelivery is the size of a body, in bytes, above which only a few are read at a time: nobody has shown yet that
	// they know the secret.
	usualDelivery = 256 << 10
	largeAtOnce   = 4
)

// arrivals bounds the memory that deliveries take while they arrive.
type arrivals struct {
	usual sync.Pool     // of *bytes.Buffer
	large chan struct{} // places for large ones
}

func newArrivals() arrivals { return arrivals{large: make(chan struct{}, largeAtOnce)} }

// hook takes a delivery of a project's webhook. It is answered when it is on the disk: 202, or 200 where it was there before.
func (s *Server) hook(w http.ResponseWriter, r *http.Request, _ access.Caller) {
	isNew, err := s.takeDelivery(w, r)
	switch {
	case err != nil:
		s.failHook(w, r, err)
	case isNew:
		writeJSON(w, http.StatusAccepted, map[string]string{"delivery": "stored"})
	default:
		writeJSON(w, http.StatusOK, map[string]string{"delivery": "known"})
	}
}

// failHook says of what may succeed later when to try again.
func (s *Server) failHook(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
		writeJSON(w, http.StatusRequestEntityTooLarge, faultOf(towpath.Errorf(towpath.CodeInvalid, "a delivery has at most %d bytes", tooLarge.Limit)))
		return
	}
	if towpath.CodeOf(err) == towpath.CodeUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	s.fail(w, r, err)
}

func (s *Server) takeDelivery(w http.ResponseWriter, r *http.Request) (isNew bool, err error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false, towpath.Errorf(towpath.CodeInvalid, "a delivery is not compressed, and this one is: %q", encoding)
	}
	project, secrets, err := s.hookLooks.at(r.Context(), r.PathValue("project"))
	if errors.Is(err, store.ErrNotFound) {
		return false, trigger.Unsigned()
	}
	if err != nil {
		return false, err
	}
	body, done, err := s.arrivals.read(w, r)
	if err != nil {
		return false, err
	}
	defer done()
	isNew, err = s.Inbox.Take(r.Context(), project, r.Header, body, secrets)
	if isNew {
		s.Flow.DeliveriesArrived()
	}
	return isNew, err
}

// read reads a body within its time. done gives its memory back.
func (a *arrivals) read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(arrivalTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, nil, err
	}
	limited := http.MaxBytesReader(w, r.Body, trigger.MaxDelivery)
	buffer, is := a.usual.Get().(*bytes.Buffer)
	if !is {
		buffer = new(bytes.Buffer)
	}
	buffer.Reset()
	done = func() { a.usual.Put(buffer) }
	n, err := io.CopyN(buffer, limited, usualDelivery+1)
	if err == nil && n > usualDelivery { // there is more
		return a.readLarge(r, buffer, limited)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		done()
		return nil, nil, arrivedBadly(err)
	}
	return buffer.Bytes(), done, nil
}

// readLarge reads what follows what was read already, where there is a place for it. Its buffer is not used again.
func (a *arrivals) readLarge(r *http.Request, buffer *bytes.Buffer, rest io.Reader) (body []byte, done func(), err error) {
	select {
	case a.large <- struct{}{}:
	case <-r.Context().Done():
		return nil, nil, r.Context().Err()
	case <-time.After(arrivalTime):
		return nil, nil, towpath.Errorf(towpath.CodeUnavailable, "too many large deliveries arrive at once")
	}
	if _, err := buffer.ReadFrom(rest); err != nil {
		<-a.large
		return nil, nil, arrivedBadly(err)
	}
	return buffer.Bytes(), func() { <-a.large }, nil
}

// arrivedBadly keeps apart what the sender did wrong: too much, too slow, or gone in the midst of it.
func arrivedBadly(err error) error {
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return err
	}
	return towpath.Errorf(towpath.CodeInvalid, "the delivery did not arrive whole within %s", arrivalTime)
}
