package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
)

// keepAlive is how often an idle stream says that it is alive: proxies cut silent connections after a minute.
const keepAlive = 15 * time.Second

// logPiece is how much of a log is copied at a time, in bytes.
const logPiece = 256 << 10

func (s *Server) registerStreams() {
	s.handle("GET /api/v1/pipelines/{pipeline}/runs/{number}/events", s.runEvents)
	s.handle("GET /api/v1/environments/{pipeline}/{environment}/events", s.environmentEvents)
}

// runEvents sends the run each time it changes, until it has ended.
func (s *Server) runEvents(w http.ResponseWriter, r *http.Request, _ access.Caller) {
	id, err := s.runID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.stream(w, r, flow.TopicRun(id), func() (any, bool, error) {
		run, err := s.readRun(r)
		return run, towpath.RunState(run.State).IsFinal(), err
	})
}

// environmentEvents sends the environment each time it changes.
func (s *Server) environmentEvents(w http.ResponseWriter, r *http.Request, _ access.Caller) {
	if _, err := s.readEnvironment(r); err != nil {
		s.fail(w, r, err)
		return
	}
	s.stream(w, r, flow.TopicEnvironment(keyIn(r)), func() (any, bool, error) {
		environment, err := s.readEnvironment(r)
		return environment, false, err
	})
}

// stream sends a document as a server-sent event now and whenever the topic rings, as long as it is another than the one
// before, until it is the last.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, topic string, read func() (document any, last bool, err error)) {
	ctx, cancel := s.live(r)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	var sent string
	for {
		rung := s.Hub.Wait(topic)
		document, last, err := read()
		if err != nil {
			return
		}
		encoded, err := json.Marshal(document)
		if err != nil {
			return
		}
		if now := string(encoded); now != sent {
			fmt.Fprintf(w, "data: %s\n\n", now)
			sent = now
		}
		if http.NewResponseController(w).Flush() != nil || last || !await(ctx, w, rung) {
			return
		}
	}
}

// await waits for a ring, and says now and then that the stream is alive. It answers false when the stream is over.
func await(ctx context.Context, w http.ResponseWriter, rung <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-rung:
			return true
		case <-time.After(keepAlive):
			if _, err := io.WriteString(w, ": alive\n\n"); err != nil {
				return false
			}
			if http.NewResponseController(w).Flush() != nil {
				return false
			}
		}
	}
}

// log sends a step's log from an offset on; with follow=true until the step has ended.
func (s *Server) log(w http.ResponseWriter, r *http.Request, _ access.Caller) {
	q, err := s.logQuery(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := s.live(r)
	defer cancel()
	s.copyLog(ctx, w, q)
}

// logQuery is a part of a log that was asked for.
type logQuery struct {
	name   steplog.Name
	offset int64
	follow bool
}

func (s *Server) logQuery(r *http.Request) (logQuery, error) {
	query := r.URL.Query()
	q := logQuery{follow: query.Get("follow") == "true"}
	var err error
	if text := query.Get("offset"); text != "" {
		if q.offset, err = strconv.ParseInt(text, 10, 64); err != nil || q.offset < 0 {
			return q, towpath.Errorf(towpath.CodeInvalid, "offset=%s is not a number of bytes", text)
		}
	}
	return q, s.Store.View(r.Context(), func(tx *store.Tx) error {
		run, err := runIn(tx, r)
		if err != nil {
			return err
		}
		q.name, err = logNameIn(run, r.PathValue("step"), query.Get("attempt"))
		return err
	})
}

func logNameIn(run towpath.Run, name, attempt string) (steplog.Name, error) {
	step, ok := run.Step(name)
	if !ok || !step.Kind.IsScript() {
		return steplog.Name{}, towpath.Errorf(towpath.CodeNotFound, "%s has no step %q with a log", runName(run), name)
	}
	n := step.Attempt()
	if attempt != "" {
		var err error
		if n, err = strconv.Atoi(attempt); err != nil || n < 1 || n > step.Attempt() {
			return steplog.Name{}, towpath.Errorf(towpath.CodeNotFound, "%q has no attempt %q", name, attempt)
		}
	}
	return steplog.Name{Run: run.ID, Step: name, Attempt: max(1, n)}, nil
}

// copyLog sends what is there, and then, when following, what comes.
func (s *Server) copyLog(ctx context.Context, w http.ResponseWriter, q logQuery) {
	piece := make([]byte, logPiece)
	for {
		rung, grown := s.Hub.Wait(flow.TopicRun(q.name.Run)), s.Hub.Wait(flow.TopicLog(q.name.Run, q.name.Step))
		ended := s.hasEnded(ctx, q.name)
		log, err := s.Logs.Open(q.name)
		if err == nil {
			grown = log.Changed()
			q.offset = copyPieces(w, log, q.offset, piece)
		}
		if err != nil && !errors.Is(err, steplog.ErrNotFound) {
			s.Log.Warn("a log cannot be read", "log", q.name.String(), "error", err)
			return
		}
		if !q.follow || ended || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-rung:
		case <-grown:
		}
	}
}

func copyPieces(w io.Writer, log *steplog.Log, offset int64, piece []byte) int64 {
	for {
		n, err := log.ReadAt(piece, offset)
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return offset
			}
		}
		offset += int64(n)
		if err != nil || n == 0 {
			return offset
		}
	}
}

// hasEnded says that the attempt prints nothing more.
func (s *Server) hasEnded(ctx context.Context, name steplog.Name) bool {
	ended := true
	_ = s.Store.View(ctx, func(tx *store.Tx) error {
		run, _, err := tx.Run(name.Run)
		if step, ok := run.Step(name.Step); err == nil && ok {
			ended = step.State.IsFinal() || step.Attempt() > name.Attempt
		}
		return err
	})
	return ended
}
