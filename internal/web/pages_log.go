package web

import (
	"errors"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	terminal "github.com/buildkite/terminal-to-html/v3"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/web/page"
)

// shownBytes is how much of a line a page shows: browsers lay out longer ones for seconds.
const shownBytes = 16 << 10

// logPage shows a thousand lines at most: the last ones, or those from the one that the query names.
func (s *Server) logPage(c call[none]) (templ.Component, error) {
	view, name, err := s.logView(c)
	if err != nil {
		return nil, err
	}
	from := int64(-1)
	if text := c.URL.Query().Get("from"); text != "" {
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < 0 {
			return nil, towpath.Errorf(towpath.CodeInvalid, "from=%s is not the number of a line", text)
		}
	}
	if view.Search = c.URL.Query().Get("search"); view.Search != "" {
		return s.foundPage(c, view, name, max(0, from))
	}
	view.IsTail = from < 0
	view.IsLive = view.IsTail && !s.hasEnded(c.Context(), name)
	err = s.readLines(&view, name, from)
	return page.LogPage(view), err
}

// foundPage shows lines with a text, from a line on.
func (s *Server) foundPage(c call[none], view page.Log, name steplog.Name, from int64) (templ.Component, error) {
	view.From = from
	log, err := s.Logs.Open(name)
	if errors.Is(err, steplog.ErrNotFound) {
		return page.LogPage(view), nil
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.live(c.Request)
	defer cancel()
	found, err := log.Search(ctx, steplog.Search{Text: view.Search, From: from, Limit: page.LogLines})
	view.Total, view.More = log.Lines(), found.More
	view.Lines = shownLines(found.Lines, true)
	return page.LogPage(view), err
}

// logView is the page of the log that a path names, without its lines.
func (s *Server) logView(c call[none]) (page.Log, steplog.Name, error) {
	q, err := s.logQuery(c.Request)
	if err != nil {
		return page.Log{}, q.name, err
	}
	run, err := s.readRun(c.Request)
	if err != nil {
		return page.Log{}, q.name, err
	}
	tests, err := s.readTests(c.Request)
	tests = slices.DeleteFunc(tests, func(t client.StepTests) bool { return t.Step != q.name.Step || t.Attempt != q.name.Attempt })
	return page.Log{
		Tests: tests,
		Frame: s.frame(c.Caller, "", run.Pipeline+" #"+strconv.Itoa(run.Number)+" "+q.name.Step),
		Run:   run, Step: stepIn(run, q.name.Step), Attempt: q.name.Attempt,
	}, q.name, err
}

func stepIn(run client.Run, name string) client.Step {
	for _, step := range run.Steps {
		if step.Name == name {
			return step
		}
	}
	return client.Step{}
}

// readLines fills a page from a line on; from below 0 is the end. A line that is still being printed is left to the
// stream, where there is one.
func (s *Server) readLines(view *page.Log, name steplog.Name, from int64) error {
	log, err := s.Logs.Open(name)
	if errors.Is(err, steplog.ErrNotFound) {
		view.IsTail = true
		return nil
	}
	if err != nil {
		return err
	}
	view.Total = log.Lines()
	if view.From = from; from < 0 {
		view.From = max(0, view.Total-page.LogLines)
	}
	lines, err := log.Read(view.From, page.LogLines)
	view.Lines = shownLines(lines, !view.IsLive)
	return err
}

// shownLines turns lines into HTML. An open one is shown where it is asked for.
func shownLines(lines []steplog.Line, open bool) page.LogBlock {
	var shown page.LogBlock
	for _, line := range lines {
		if !line.Open || open {
			shown = append(shown, shownLine(line))
		}
	}
	return shown
}

func shownLine(line steplog.Line) page.LogLine {
	if len(line.Text) > shownBytes {
		line.Text, line.Cut = line.Text[:shownBytes], true
	}
	text := colored(line.Text)
	if line.Cut {
		text += ` <span class="cut">… the line goes on: see raw</span>`
	}
	return page.LogLine{Number: line.Number, At: line.At, HTML: text}
}

// commands are what a terminal is told beside colours: titles, links, pictures. A log shows text and colours only.
var commands = regexp.MustCompile("\x1b[\\]_P^X][^\x07\x1b]*(?:\x07|\x1b\\\\)?")

// colored turns one line with its terminal colours into HTML. Each line is taken for itself, so that it has one number
// wherever it is read from: a colour ends with its line, and a cursor that moves up moves nothing.
func colored(line []byte) string {
	text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r"), "\uFFFD")
	if !strings.ContainsAny(text, "\x1b\r\b") {
		return html.EscapeString(text)
	}
	text = commands.ReplaceAllString(text, "")
	return strings.TrimRight(terminal.Render([]byte(text)), "\n")
}
