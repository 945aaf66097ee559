package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// How many lines of a log are answered where nobody says, and at most.
const (
	linesGiven, linesMost = 1000, 10_000
	foundGiven, foundMost = 100, 1000
)

func (s *Server) registerLogs() {
	const log = "GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log"
	s.handle(log, s.log)
	attempt := aNumber("attempt", "of the step (default the last)")
	api(s, log+"/lines", s.logLines, attempt,
		aNumber("from", "the first line, counted from 1, or from the log's end below 0"), aNumber("limit", fmt.Sprintf("1 to %d lines (default %d)", linesMost, linesGiven)))
	api(s, log+"/search", s.searchLog, attempt, aText("text", "that lines have; without a capital letter it stands for capital letters as well"),
		aNumber("from", "the first line to look at, counted from 1"), aNumber("limit", fmt.Sprintf("1 to %d lines (default %d)", foundMost, foundGiven)))
}

// logLines answers lines from one on; a number below 0 counts from the log's end.
func (s *Server) logLines(c call[none]) (client.LogLines, error) {
	log, part, err := s.logPart(c.Request, linesGiven, linesMost)
	if log == nil || err != nil {
		return client.LogLines{Lines: []client.LogLine{}}, err
	}
	total := log.Lines()
	from := part.from - 1
	if part.from < 0 {
		from = max(0, total+part.from)
	}
	lines, err := log.Read(from, part.limit)
	answer := client.LogLines{Lines: linesOf(lines), Total: total}
	if n := len(lines); n > 0 && lines[n-1].Number+1 < total {
		answer.Next = lines[n-1].Number + 2
	}
	return answer, err
}

// searchLog answers the lines with a text. It ends when who asked goes away.
func (s *Server) searchLog(c call[none]) (client.LogLines, error) {
	log, part, err := s.logPart(c.Request, foundGiven, foundMost)
	if err == nil && part.from < 1 {
		err = towpath.Errorf(towpath.CodeInvalid, "from=%d is not the number of a line, which begin with 1", part.from)
	}
	if log == nil || err != nil {
		return client.LogLines{Lines: []client.LogLine{}}, err
	}
	ctx, cancel := s.live(c.Request)
	defer cancel()
	total := log.Lines()
	found, err := log.Search(ctx, steplog.Search{Text: c.URL.Query().Get("text"), From: part.from - 1, Limit: part.limit})
	answer := client.LogLines{Lines: linesOf(found.Lines), Total: total}
	if found.More {
		answer.Next = found.Next + 1
	}
	return answer, err
}

// logPart is which lines of a log are asked for.
type logPart struct {
	from  int64 // counted from 1
	limit int
}

// logPart answers the log that a path names, nil where there is none yet, and what of it is asked for.
func (s *Server) logPart(r *http.Request, given, most int) (*steplog.Log, logPart, error) {
	part := logPart{from: 1, limit: given}
	query := r.URL.Query()
	var err error
	if text := query.Get("from"); text != "" {
		if part.from, err = strconv.ParseInt(text, 10, 64); err != nil || part.from == 0 {
			return nil, part, towpath.Errorf(towpath.CodeInvalid, "from=%s is not the number of a line, which begin with 1", text)
		}
	}
	if text := query.Get("limit"); text != "" {
		if part.limit, err = strconv.Atoi(text); err != nil || part.limit < 1 || part.limit > most {
			return nil, part, towpath.Errorf(towpath.CodeInvalid, "limit=%s is not a number from 1 to %d", text, most)
		}
	}
	q, err := s.logQuery(r)
	if err != nil {
		return nil, part, err
	}
	log, err := s.Logs.Open(q.name)
	if errors.Is(err, steplog.ErrNotFound) {
		return nil, part, nil
	}
	return log, part, err
}

func linesOf(lines []steplog.Line) []client.LogLine {
	all := make([]client.LogLine, len(lines))
	for i, line := range lines {
		all[i] = client.LogLine{
			Number: line.Number + 1, Offset: line.Offset, At: line.At, Cut: line.Cut, Open: line.Open,
			Text: strings.ToValidUTF8(string(line.Text), "\uFFFD"),
		}
	}
	return all
}
