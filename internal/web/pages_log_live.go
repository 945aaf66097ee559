package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/web/page"
)

// Following a log: how often a page is told of new lines at most, and how many it holds.
const (
	logPace = 200 * time.Millisecond
	logHeld = 2 * page.LogLines
)

// follower sends what a log grows by to one page, and knows what that page holds.
type follower struct {
	*events
	next   int64   // number of the next line to send
	blocks []int64 // numbers of the first lines of the blocks that the page holds, oldest first
	anew   bool    // the page came again, and what it holds is not known
}

// followLog sends lines to a log's page until the step has ended and all of it was sent. The page never holds more than
// a few thousand: blocks that have scrolled far away are taken out.
func (s *Server) followLog(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	c := call[none]{Request: r, Caller: caller}
	_, name, err := s.logView(c)
	from, bad := lineAsked(r)
	if err = errors.Join(bad, err); err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, cancel := s.live(r)
	defer cancel()
	f := &follower{events: newEvents(ctx, w), next: from, blocks: []int64{max(0, from-page.LogLines)}}
	f.anew = r.Header.Get("Last-Event-ID") != ""
	for {
		rung, begun := s.Hub.Wait(flow.TopicRun(name.Run)), s.Hub.Wait(flow.TopicLog(name.Run, name.Step))
		ended := s.hasEnded(ctx, name)
		grown, more, err := f.catchUp(s.Logs, name, ended)
		if grown == nil {
			grown = begun
		}
		if err == nil {
			err = s.sendStanding(f.events, c)
		}
		if err != nil || ctx.Err() != nil {
			return
		}
		if ended && !more {
			f.end()
			return
		}
		if f.flush() != nil || !f.wait(ctx, rung, grown, more) {
			return
		}
	}
}

// lineAsked reads from where a page goes on: the last line that it got, or the one that it was made with.
func lineAsked(r *http.Request) (int64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("from")
	}
	from, err := strconv.ParseInt(text, 10, 64)
	if err != nil || from < 0 {
		return 0, towpath.Errorf(towpath.CodeInvalid, "from=%s is not the number of a line", text)
	}
	return from, nil
}

// sendStanding says how the step stands.
func (s *Server) sendStanding(e *events, c call[none]) error {
	view, _, err := s.logView(c)
	if err != nil {
		return err
	}
	return e.sendChanged(part{name: "state", shown: page.LogState(view)})
}

// catchUp sends lines that came. It answers what tells of the next ones, nil where there is no log yet, and whether there
// are more already.
func (f *follower) catchUp(logs *steplog.Store, name steplog.Name, ended bool) (grown <-chan struct{}, more bool, err error) {
	log, err := logs.Open(name)
	if errors.Is(err, steplog.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	grown = log.Changed()
	total := log.Lines()
	if f.anew || total-f.next > page.LogLines {
		f.anew, f.next = true, max(0, total-page.LogLines)
	}
	lines, err := log.Read(f.next, page.LogLines)
	if err != nil {
		return grown, false, err
	}
	if err := f.sendLines(shownLines(lines, ended)); err != nil {
		return grown, false, err
	}
	var open templ.Component = templ.NopComponent
	if n := len(lines); n > 0 && lines[n-1].Open && !ended {
		open = page.LogOpen(shownLine(lines[n-1]))
	}
	return grown, len(lines) > 0 && lines[len(lines)-1].Number+1 < total, f.sendChanged(part{name: "printing", shown: open})
}

func (f *follower) sendLines(block page.LogBlock) error {
	if len(block) == 0 {
		return nil
	}
	f.next = block[len(block)-1].Number + 1
	shown := page.LogMore(block, f.outgrown(block[0].Number))
	if f.anew {
		f.anew, f.blocks = false, []int64{block[0].Number}
		shown = page.LogAnew(block)
	}
	return f.send("lines", strconv.FormatInt(f.next, 10), shown)
}

// outgrown notes a new block, and answers those that the page holds no longer because of it.
func (f *follower) outgrown(first int64) (gone []int64) {
	f.blocks = append(f.blocks, first)
	for len(f.blocks) > 2 && f.next-f.blocks[1] >= logHeld {
		gone = append(gone, f.blocks[0])
		f.blocks = f.blocks[1:]
	}
	return gone
}

// wait answers false when the stream is over. Lines are gathered for a moment, so that a page keeps up with a step that
// prints a lot.
func (f *follower) wait(ctx context.Context, rung, grown <-chan struct{}, more bool) bool {
	if !more {
		select {
		case <-ctx.Done():
			return false
		case <-rung:
		case <-grown:
		case <-time.After(keepAlive):
			return f.alive() == nil
		}
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(logPace):
		return true
	}
}
