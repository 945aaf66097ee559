package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// part is a piece of a page that is sent again when it changes.
type part struct {
	name  string // of the event; not one of the browser's own: open, message, error
	shown templ.Component
	of    string // what it is another by, where that is less than all that it shows: its own parts are sent apart
}

// events writes pieces of a page as server-sent events.
type events struct {
	http.ResponseWriter
	ctx  context.Context
	sent map[string]string // by event's name: the digest of what the page shows
	id   string            // of events of parts; not empty where a browser that comes again has to say so
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

// digest tells two states of a part apart.
func (p part) digest(ctx context.Context) (string, error) {
	if p.of != "" {
		return digestOf(p.of), nil
	}
	content, err := p.render(ctx)
	return digestOf(content), err
}

// render answers what a part shows.
func (p part) render(ctx context.Context) (string, error) {
	var content bytes.Buffer
	if err := p.shown.Render(ctx, &content); err != nil {
		return "", fmt.Errorf("show %s: %w", p.name, err)
	}
	return content.String(), nil
}

// shown names what a page shows in its parts, for the stream that the page then asks for. So nothing is sent that is
// there already: a part that is replaced by its like is still one that moves under the hands of who uses it.
func shown(ctx context.Context, parts []part) (string, error) {
	var digests strings.Builder
	for _, p := range parts {
		digest, err := p.digest(ctx)
		if err != nil {
			return "", err
		}
		digests.WriteString(digest)
	}
	return digests.String(), nil
}

// digestOf is long enough to tell two states of one part of one page apart.
func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:6])
}

// sendChanged writes the parts that are another than what was sent before.
func (e *events) sendChanged(parts ...part) error {
	for _, p := range parts {
		digest, err := p.digest(e.ctx)
		if err != nil {
			return err
		}
		if e.sent[p.name] == digest {
			continue
		}
		e.sent[p.name] = digest
		content, err := p.render(e.ctx)
		if err != nil {
			return err
		}
		if err := e.write(p.name, e.id, []byte(content)); err != nil {
			return err
		}
	}
	return nil
}

// knows takes in what the page says that it shows, in the order of its parts. A page that comes again says so by the id
// of the last event that it got: then it shows something else by now.
func (e *events) knows(r *http.Request, parts []part) {
	digests := r.URL.Query().Get("shown")
	if r.Header.Get("Last-Event-ID") != "" || len(digests) != len(parts)*len(digestOf("")) {
		return
	}
	for i, p := range parts {
		width := len(digests) / len(parts)
		e.sent[p.name] = digests[i*width : (i+1)*width]
	}
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
	s.followAtMost(w, r, topic, 0, read)
}

// followAtMost does so no more often than once in a time, for what rings more often than people can look.
func (s *Server) followAtMost(w http.ResponseWriter, r *http.Request, topic string, once time.Duration, read func() (parts []part, last bool, err error)) {
	ctx, cancel := s.live(r)
	defer cancel()
	stream := newEvents(ctx, w)
	stream.id = "again"
	for first := true; ; first = false {
		rung := s.Hub.Wait(topic)
		parts, last, err := read()
		if first {
			stream.knows(r, parts)
		}
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
		case <-time.After(once):
		}
		select {
		case <-ctx.Done():
			return
		case <-rung:
		case <-time.After(keepAlive):
		}
	}
}
