//go:build unix

package worker_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/worker"
)

// server tells the story of the worker protocol: it hands out leases, keeps logs at their offsets, takes reports, and
// refuses what is stale.
type server struct {
	t       testing.TB
	address string

	mutex    sync.Mutex
	http     *http.Server
	waiting  chan *client.StepLease
	attempts map[client.LeaseRef]*story
	changed  chan struct{}
	polls    int // ever
	asking   int // now
	removed  bool
	trees    *trees
	shelf    *shelf
	shell    http.HandlerFunc // of workers' debug shells; may be nil
	hold     func()           // is called with each report, before it is taken; may be nil
}

// story is what the server knows of one attempt.
type story struct {
	most   int // bytes that its log may have
	log    []byte
	report *client.StepReport
	stop   *client.Renewal
	stale  bool
	renews int
	tests  client.TestReport
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{
		t: t, waiting: make(chan *client.StepLease, 1000), attempts: make(map[client.LeaseRef]*story),
		changed: make(chan struct{}), trees: newTrees(t), shelf: &shelf{},
	}
	s.listen("127.0.0.1:0")
	t.Cleanup(s.goAway)
	return s
}

func (s *server) listen(address string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	started := &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	s.mutex.Lock()
	s.http = started
	s.mutex.Unlock()
	go func() {
		if err := started.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.t.Error(err)
		}
	}()
}

// goAway cuts every connection and refuses new ones; comeBack is there again at the same port, knowing everything.
func (s *server) goAway()   { _ = s.http.Close() }
func (s *server) comeBack() { s.listen(s.address) }

func (s *server) url() string { return "http://" + s.address }

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/worker/lease", s.lease)
	const of = "/api/v1/worker/leases/{run}/{step}/{attempt}/"
	mux.HandleFunc("GET "+of+"shell", func(w http.ResponseWriter, r *http.Request) { s.shell(w, r) })
	mux.HandleFunc("POST "+of+"renew", s.about(s.renew))
	mux.HandleFunc("POST "+of+"log", s.about(s.appendLog))
	mux.HandleFunc("POST "+of+"finish", func(w http.ResponseWriter, r *http.Request) {
		if s.hold != nil {
			s.hold()
		}
		s.about(s.finish)(w, r)
	})
	mux.HandleFunc("POST "+of+"tests", s.about(func(w http.ResponseWriter, r *http.Request, a *story) {
		if err := json.NewDecoder(r.Body).Decode(&a.tests); err != nil {
			refuse(w, http.StatusBadRequest, "invalid")
			return
		}
		answer(w, struct{}{})
	}))
	s.trees.routes(mux, of+"artifacts/")
	s.shelf.routes(mux, of+"cache/")
	return mux
}

func (s *server) lease(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices a caller who hangs up
	s.change(func() { s.polls++; s.asking++ })
	defer s.change(func() { s.asking-- })
	if s.removed {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	select {
	case l := <-s.waiting:
		answer(w, l)
	case <-time.After(20 * time.Second):
		answer(w, nil)
	case <-r.Context().Done():
	}
}

// about finds the attempt that a call is about, and refuses stale ones.
func (s *server) about(do func(http.ResponseWriter, *http.Request, *story)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		attempt, _ := strconv.Atoi(r.PathValue("attempt"))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // a call that was cut
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		known := s.attempts[client.LeaseRef{Run: r.PathValue("run"), Step: r.PathValue("step"), Attempt: attempt}]
		if known == nil || known.stale {
			refuse(w, http.StatusConflict, "stale")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		do(w, r, known)
		s.tell()
	}
}

func (s *server) renew(w http.ResponseWriter, _ *http.Request, a *story) {
	a.renews++
	if a.stop != nil {
		answer(w, a.stop)
		return
	}
	answer(w, client.Renewal{Expires: time.Now().Add(time.Minute)})
}

// appendLog takes the same bytes once, and says from where to go on when some are missing.
func (s *server) appendLog(w http.ResponseWriter, r *http.Request, a *story) {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	body, _ := io.ReadAll(r.Body)
	held := int64(len(a.log))
	switch {
	case offset+int64(len(body)) > int64(a.most):
		s.t.Errorf("the log goes beyond %d bytes", a.most)
		refuse(w, http.StatusBadRequest, "invalid")
		return
	case err != nil || a.report != nil && offset+int64(len(body)) > held:
		refuse(w, http.StatusBadRequest, "invalid")
		return
	case offset <= held:
		known := a.log[offset:min(held, offset+int64(len(body)))]
		if string(body[:len(known)]) != string(known) {
			refuse(w, http.StatusConflict, "conflict")
			return
		}
		a.log = append(a.log, body[len(known):]...)
	}
	answer(w, client.LogOffset{Offset: int64(len(a.log))})
}

func (s *server) finish(w http.ResponseWriter, r *http.Request, a *story) {
	var report client.StepReport
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	if report.LogSize != int64(len(a.log)) {
		refuse(w, http.StatusConflict, "conflict")
		return
	}
	a.report = &report
	answer(w, struct{}{})
}

// offer makes a step wait for a worker.
func (s *server) offer(l *client.StepLease) client.LeaseRef {
	most := int(cmp.Or(l.LogLimit, worker.DefaultLogLimit)) + client.LogSlack
	s.change(func() { s.attempts[l.LeaseRef] = &story{most: most} })
	s.waiting <- l
	return l.LeaseRef
}

func (s *server) stop(l client.LeaseRef, reason string) {
	s.change(func() { s.attempts[l].stop = &client.Renewal{Stop: true, Reason: reason} })
}

func (s *server) giveToAnother(l client.LeaseRef) { s.change(func() { s.attempts[l].stale = true }) }

// forget drops the end of a log, as a restored backup does.
func (s *server) forget(l client.LeaseRef, keep int) {
	s.change(func() { s.attempts[l].log = s.attempts[l].log[:keep] })
}

func (s *server) change(do func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	do()
	s.tell()
}

func (s *server) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for something to become true of what the server knows.
func (s *server) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.After(2 * time.Minute) // to end it, not to judge: a step that looks for what it may not see reads the whole machine
	for {
		s.mutex.Lock()
		done, changed := holds(), s.changed
		s.mutex.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("never: %s\n%s", what, s.all())
		}
	}
}

func (s *server) all() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	text := ""
	for ref, a := range s.attempts {
		text += ref.Step + ": " + string(a.log) + "\n"
	}
	return text
}

func (s *server) awaitReport(l client.LeaseRef) client.StepReport {
	s.t.Helper()
	s.until("the report of "+l.Step, func() bool { return s.attempts[l].report != nil })
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return *s.attempts[l].report
}

func (s *server) awaitLog(l client.LeaseRef, text string) {
	s.t.Helper()
	s.until(text+" in the log of "+l.Step, func() bool { return bytes.Contains(s.attempts[l].log, []byte(text)) })
}

func (s *server) logOf(l client.LeaseRef) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return string(s.attempts[l].log)
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	answer(w, client.Error{Code: code, Message: "refused as " + code})
}
