package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// TestMain keeps the verbs under test away from the login and the servers of whoever runs the tests.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "towpath-cli-")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"HOME", "USERPROFILE", "XDG_CONFIG_HOME", "AppData"} {
		os.Setenv(name, home)
	}
	for _, name := range []string{
		"TOWPATH_SERVER", "TOWPATH_TOKEN", "TOWPATH_WORKER_TOKEN", "TOWPATH_DATA", "XDG_DATA_HOME",
		"CI", "CLICOLOR_FORCE", "COLORTERM", "NO_COLOR", // each of them changes the colours
	} {
		os.Unsetenv(name)
	}
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// now is when the stories play.
var now = time.Date(2026, 11, 20, 14, 5, 0, 0, time.UTC)

// world is a server whose answers are written down beforehand. What verbs ask of it is kept.
type world struct {
	t   *testing.T
	mux *http.ServeMux
	url string

	mu    sync.Mutex
	asked []string // "METHOD path body"
}

// newWorld makes a server that answers nothing yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, mux: http.NewServeMux()}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) serve(answer http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.asked = append(w.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	w.mu.Unlock()
	w.mux.ServeHTTP(answer, r)
}

// changes are the requests that were to change something.
func (w *world) changes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.asked), func(a string) bool { return strings.HasPrefix(a, "GET ") })
}

// wasAsked fails the test unless a request was made.
func (w *world) wasAsked(request string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.asked, request) {
		return
	}
	w.t.Errorf("the server was never asked\n%s\nbut\n%s", request, strings.Join(w.asked, "\n"))
}

// answers makes the server answer a document, or 204 where it is nil.
func (w *world) answers(pattern string, document any) {
	w.mux.HandleFunc(pattern, func(answer http.ResponseWriter, _ *http.Request) {
		if document == nil {
			answer.WriteHeader(http.StatusNoContent)
			return
		}
		json.NewEncoder(answer).Encode(document)
	})
}

// takes makes the server answer what it was given, changed.
func takes[T any](w *world, pattern string, change func(*T)) {
	w.mux.HandleFunc(pattern, func(answer http.ResponseWriter, r *http.Request) {
		var document T
		json.NewDecoder(r.Body).Decode(&document)
		change(&document)
		json.NewEncoder(answer).Encode(document)
	})
}

// refuses makes the server answer an error.
func (w *world) refuses(pattern string, status int, why client.Error) {
	w.mux.HandleFunc(pattern, func(answer http.ResponseWriter, _ *http.Request) {
		answer.WriteHeader(status)
		json.NewEncoder(answer).Encode(why)
	})
}

// streams makes the server send documents as events, and end the stream.
func (w *world) streams(pattern string, documents ...any) {
	w.mux.HandleFunc(pattern, func(answer http.ResponseWriter, _ *http.Request) { send(answer, documents...) })
}

// send writes documents as events that have arrived when it returns.
func send(answer http.ResponseWriter, documents ...any) {
	for _, d := range documents {
		encoded, _ := json.Marshal(d)
		fmt.Fprintf(answer, ": alive\n\ndata: %s\n\n", encoded)
		http.NewResponseController(answer).Flush()
	}
}

// call runs a verb against the server.
func (w *world) call(args ...string) answer { return w.callWith("", args...) }

// callWith also has something on standard input.
func (w *world) callWith(input string, args ...string) answer {
	w.t.Helper()
	var out, err bytes.Buffer
	console := &Console{
		In: strings.NewReader(input), Out: &out, Err: &err, clock: func() time.Time { return now },
		patience: patience{first: time.Millisecond, most: time.Minute},
	}
	code := Execute(w.t.Context(), append([]string{"--server", w.url}, args...), console)
	return answer{code: code, out: w.placeless(out.String()), err: w.placeless(err.String())}
}

// placeless takes the server's own port out of a text.
func (w *world) placeless(text string) string {
	return strings.ReplaceAll(text, w.url, "http://SERVER")
}

// home gives the test a home of its own, where nobody has signed in.
func home(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "AppData"} {
		t.Setenv(name, folder)
	}
	return folder
}

// write makes a file with its folder.
func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func minutesAgo(n int) time.Time { return now.Add(-time.Duration(n) * time.Minute) }
