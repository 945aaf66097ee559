package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// maxJSON is the size of the largest JSON body that is read, in bytes.
const maxJSON = 1 << 20

// statuses are the HTTP signs of our codes.
var statuses = map[towpath.Code]int{
	towpath.CodeInvalid:      http.StatusUnprocessableEntity,
	towpath.CodeUnauthorized: http.StatusUnauthorized,
	towpath.CodeForbidden:    http.StatusForbidden,
	towpath.CodeNotFound:     http.StatusNotFound,
	towpath.CodeConflict:     http.StatusConflict,
	towpath.CodeStale:        http.StatusGone,
	towpath.CodeUnavailable:  http.StatusServiceUnavailable,
	towpath.CodeInternal:     http.StatusInternalServerError,
}

// call is one request of the API with who makes it.
type call[I any] struct {
	*http.Request
	access.Caller
	Body I
}

// escaped answers values of the path, as a path again.
func (c call[I]) escaped(names ...string) string {
	for i, name := range names {
		names[i] = url.PathEscape(c.PathValue(name))
	}
	return strings.Join(names, "/")
}

// none is the body of a call without one, and the answer of one that has none.
type none struct{}

// api registers a handler that takes and answers JSON. An answer of none is 204.
func api[I, O any](s *Server, pattern string, handler func(call[I]) (O, error), query ...parameter) {
	s.shapes[pattern] = shape{takes: typeOf[I](), answers: typeOf[O](), query: query}
	read := func(r *http.Request, into any) error {
		if err := checkQuery(r, query); err != nil {
			return err
		}
		return readJSON(r, into)
	}
	if _, path, _ := strings.Cut(pattern, " "); strings.HasPrefix(path, "/api/v1/worker/") {
		read = readJSONOfWorker
	}
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request, caller access.Caller) {
		c := call[I]{Request: r, Caller: caller}
		if err := read(r, &c.Body); err != nil {
			s.fail(w, r, err)
			return
		}
		answer, err := handler(c)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// typeOf is nil for none.
func typeOf[T any]() reflect.Type {
	if t := reflect.TypeFor[T](); t != reflect.TypeFor[none]() {
		return t
	}
	return nil
}

// readJSON reads a body with exactly the fields that the call has, to its end: only then does net/http notice a caller
// who goes away while we wait. A body that is empty leaves the zero value.
func readJSON(r *http.Request, into any) error {
	return readBody(r, into, (*json.Decoder).DisallowUnknownFields)
}

// readJSONOfWorker is readJSON for what workers send. A worker of the release after this one may say more than we know of,
// and works all the same.
func readJSONOfWorker(r *http.Request, into any) error {
	return readBody(r, into, func(*json.Decoder) {})
}

func readBody(r *http.Request, into any, set func(*json.Decoder)) error {
	body := http.MaxBytesReader(nil, r.Body, maxJSON)
	if _, isNone := into.(*none); isNone {
		_, err := io.Copy(io.Discard, body)
		return misread(err)
	}
	decoder := json.NewDecoder(body)
	set(decoder)
	if err := decoder.Decode(into); err != nil {
		return misread(err)
	}
	if err := decoder.Decode(&none{}); !errors.Is(err, io.EOF) {
		return misread(errors.New("more follows behind the first document"))
	}
	return nil
}

func misread(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	return towpath.Errorf(towpath.CodeInvalid, "the body is not what this call takes: %s", message).
		WithHint("GET /api/v1/openapi.json says what it takes")
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	if _, isNone := answer.(none); isNone {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the caller is gone if this fails
}

// fail answers an error: JSON to programs, a page to people. What is a fault of ours goes to the log, and not to the
// caller.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := describe(err)
	if e.Code == towpath.CodeInternal && r.Context().Err() == nil {
		s.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if wantsPage(r) {
		s.failPage(w, r, e)
		return
	}
	writeJSON(w, statuses[e.Code], faultOf(e))
}

func faultOf(e *towpath.Error) client.Error {
	return client.Error{Code: string(e.Code), Message: e.Message, Hint: e.Hint}
}

// refuse answers who was not admitted. A person without a session is shown where to sign in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if wantsPage(r) && r.Method == http.MethodGet && towpath.CodeOf(err) == towpath.CodeUnauthorized {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	s.fail(w, r, err)
}

// describe turns any error into one for people.
func describe(err error) *towpath.Error {
	if e, ok := errors.AsType[*towpath.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, steplog.ErrNotFound):
		return towpath.Errorf(towpath.CodeNotFound, "there is no log yet")
	case errors.Is(err, steplog.ErrSearch):
		return towpath.Errorf(towpath.CodeInvalid, "%s", steplog.ErrSearch)
	case errors.Is(err, steplog.ErrFinished), errors.Is(err, steplog.ErrConflict):
		return towpath.Errorf(towpath.CodeStale, "%s", err)
	}
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return towpath.Errorf(towpath.CodeUnavailable, "%s", err)
	}
	return towpath.Errorf(towpath.CodeInternal, "something went wrong on the server").WithHint("its log says what")
}

func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/hooks/") && r.URL.Path != "/healthz"
}

func stack() string { return string(debug.Stack()) }
