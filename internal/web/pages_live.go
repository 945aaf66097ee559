package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/a-h/templ"
)

// part is a piece of a page that is sent again when it changes.
type part struct {
	name  string // of the event; not one of the browser's own: open, message, error
	shown templ.Component
}

// events writes pieces of a page as server-sent events.
type events struct {
	http.ResponseWriter
	ctx  context.Context
	sent map[string]string // by event's name: what was sent last
}

func newEvents(ctx context.Context, w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	return &events{ResponseWriter: w, ctx: ctx, sent: map[string]string{}}
}

// send writes one event. With an id that is not empty, a browser that comes again says that it got this far.
func (e *events) send(name, id string, shown templ.Component) error {
	var content bytes.Buffer
	if err := shown.Render(e.ctx, &content); err != nil {
		return fmt.Errorf("show %s: %w", name, err)
	}
	return e.write(name, id, content.Bytes())
}

// sendChanged writes the parts that are another than what was sent before.
func (e *events) sendChanged(parts ...part) error {
	for _, p := range parts {
		var content bytes.Buffer
		if err := p.shown.Render(e.ctx, &content); err != nil {
			return fmt.Errorf("show %s: %w", p.name, err)
		}
		if e.sent[p.name] == content.String() {
			continue
		}
		e.sent[p.name] = content.String()
		if err := e.write(p.name, "", content.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (e *events) write(name, id string, content []byte) error {
	var event bytes.Buffer
	fmt.Fprintf(&event, "event: %s\n", name)
	if id != "" {
		fmt.Fprintf(&event, "id: %s\n", id)
	}
	for line := range bytes.SplitSeq(content, []byte("\n")) {
		event.WriteString("data: ")
		event.Write(bytes.TrimSuffix(line, []byte("\r")))
		event.WriteByte('\n')
	}
	event.WriteByte('\n')
	_, err := e.Write(event.Bytes())
	return err
}

// end says that nothing more will come, so that the browser does not ask again.
func (e *events) end() {
	if e.write("end", "", nil) == nil {
		_ = e.flush()
	}
}

func (e *events) flush() error { return http.NewResponseController(e.ResponseWriter).Flush() }

// alive says that the stream is there, where nothing else was sent for a while.
func (e *events) alive() error {
	_, err := e.Write([]byte(": alive\n\n"))
	return err
}

// follow sends the parts of a page whenever the topic rings, until they are the last. Now and then it looks again by
// itself: relative times move, and a wake-up is a hint only.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, topic string, read func() (parts []part, last bool, err error)) {
	ctx, cancel := s.live(r)
	defer cancel()
	stream := newEvents(ctx, w)
	for {
		rung := s.Hub.Wait(topic)
		parts, last, err := read()
		if err != nil || stream.sendChanged(parts...) != nil {
			return
		}
		if last {
			stream.end()
			return
		}
		if stream.alive() != nil || stream.flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-rung:
		case <-time.After(keepAlive):
		}
	}
}
