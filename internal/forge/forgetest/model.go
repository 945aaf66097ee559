package forgetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Token is what the model of a forge lets in, and what may stand in no error.
const Token = "glpat-the-token-of-the-tests"

// Hook is a webhook that a model has stored.
type Hook struct {
	ID     int
	URL    string
	Secret string
	JSON   bool
	Active bool
	Events []string
}

// Key is a deploy key that a model has stored.
type Key struct {
	ID       int
	Title    string
	Text     string
	ReadOnly bool
}

// Failure is what a model answers instead of an answer.
type Failure struct {
	Status int
	Header http.Header
	Body   string
	// Writing says that calls that read are answered.
	Writing bool
}

// Model is a forge with one repository, ana/shop, of which it keeps what is stored. The judge of a test is what it holds.
type Model struct {
	*http.ServeMux
	Authorization string // what the header has to be

	mutex    sync.Mutex
	Hooks    []Hook
	Keys     []Key
	Statuses []forge.Status // with the revision before the context: HASH towpath/shop
	Closed   []string       // beginnings of paths that the token may not see
	Failing  *Failure
	last     int // ID that was given last
	Refused  int // calls without the right credential
}

// NewModel is a model whose handlers are registered by the kind's own test. They hold the lock while they run.
func NewModel(authorization string) *Model {
	return &Model{ServeMux: http.NewServeMux(), Authorization: authorization}
}

func (m *Model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	isClosed := func(path string) bool { return strings.HasPrefix(r.URL.Path, path) }
	switch {
	case m.Failing != nil && (r.Method != http.MethodGet || !m.Failing.Writing):
		maps.Copy(w.Header(), m.Failing.Header)
		Say(w, m.Failing.Status, json.RawMessage(m.Failing.Body))
	case r.Header.Get("Authorization") != m.Authorization:
		m.Refused++
		Say(w, http.StatusUnauthorized, map[string]string{"message": "no: " + r.Header.Get("Authorization")})
	case slices.ContainsFunc(m.Closed, isClosed):
		Say(w, http.StatusForbidden, map[string]string{"message": "not for you"})
	default:
		m.ServeMux.ServeHTTP(w, r)
	}
}

// NextID gives the next thing an ID.
func (m *Model) NextID() int { m.last++; return m.last }

// SetHook changes or adds a webhook by its ID; it answers whether there was one.
func (m *Model) SetHook(h Hook) bool {
	for i := range m.Hooks {
		if m.Hooks[i].ID == h.ID {
			m.Hooks[i] = h
			return true
		}
	}
	return false
}

// DeleteHook answers what a forge does: 204, or 404.
func (m *Model) DeleteHook(w http.ResponseWriter, id int) {
	count := len(m.Hooks)
	m.Hooks = slices.DeleteFunc(m.Hooks, func(h Hook) bool { return h.ID == id })
	if len(m.Hooks) == count {
		http.NotFound(w, nil)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// SetStatus keeps one status for each context of a revision.
func (m *Model) SetStatus(revision string, s forge.Status) {
	s.Context = revision + " " + s.Context
	for i := range m.Statuses {
		if m.Statuses[i].Context == s.Context {
			m.Statuses[i] = s
			return
		}
	}
	m.Statuses = append(m.Statuses, s)
}

// Start serves a model until the test ends.
func (m *Model) Start(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	return server
}

// Seen runs with the model's lock held.
func (m *Model) Seen(look func(m *Model)) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	look(m)
}

// Say answers with JSON.
func Say(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(err)
	}
}

// Hear reads a call's JSON.
func Hear[T any](r *http.Request) T {
	var value T
	if err := json.NewDecoder(r.Body).Decode(&value); err != nil {
		panic(http.ErrAbortHandler)
	}
	return value
}

// Number reads a part of a call's path.
func Number(r *http.Request, name string) int {
	n, err := strconv.Atoi(r.PathValue(name))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return n
}

// pageSize is small, so that every list of the suite has several pages.
const pageSize = 2

// Page cuts the page out of a list that a call asks for by "page", and links the one after it as RFC 8288 does.
func Page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	page := 1
	if asked, err := strconv.Atoi(r.URL.Query().Get("page")); err == nil && asked > 0 {
		page = asked
	}
	begin := min((page-1)*pageSize, len(all))
	end := min(begin+pageSize, len(all))
	if end < len(all) {
		next := *r.URL
		query := next.Query()
		query.Set("page", strconv.Itoa(page+1))
		next.RawQuery = query.Encode()
		w.Header().Set("Link", "<http://"+r.Host+next.String()+`>; rel="next"`)
		w.Header().Set("X-Next-Page", strconv.Itoa(page+1))
	}
	return all[begin:end]
}

// Slice cuts the part of a list that begins at an offset, and answers where the next part begins, 0 for nowhere.
func Slice[T any](all []T, start int) (part []T, next int) {
	begin := min(start, len(all))
	end := min(begin+pageSize, len(all))
	if end < len(all) {
		next = end
	}
	return all[begin:end], next
}
