package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

// searchedAtOnce is how many lines are asked for in one call.
const searchedAtOnce = 1000

// logPart is the part of a log that a person asked for; the zero logPart is all of it.
type logPart struct {
	lines  string
	tail   int64
	search string
}

// narrow has the copy begin and end with what was asked for. It is done where nothing is left to copy.
func (l *logCopy) narrow(ctx context.Context, part logPart, run client.Run) (done bool, err error) {
	if part == (logPart{}) {
		return false, nil
	}
	if l.query.Attempt == 0 { // a number of a line is worth nothing in another attempt's log
		at := slices.IndexFunc(run.Steps, func(s client.Step) bool { return s.Name == l.query.Step })
		if at >= 0 {
			l.query.Attempt = run.Steps[at].Attempt
		}
	}
	switch {
	case part.search != "":
		return true, l.search(ctx, part.search)
	case part.tail < 0:
		return true, usage(fmt.Sprintf("--tail %d is not a number of lines", part.tail), "towpath log --tail 50")
	case part.tail > 0:
		l.query.Offset, err = l.offsetOf(ctx, -part.tail)
		return false, err
	case part.lines != "":
		return l.narrowToLines(ctx, part.lines)
	}
	return false, nil
}

func (l *logCopy) narrowToLines(ctx context.Context, lines string) (done bool, err error) {
	from, to, err := parseLines(lines)
	if err != nil {
		return true, err
	}
	first, err := l.server.LogLines(ctx, l.query, from, 1)
	if err != nil {
		return true, err
	}
	if len(first.Lines) == 0 {
		l.console.note("the log has %d lines", first.Total)
		if l.console.JSON {
			err = writeJSON(l.console.Out, l.piece(nil))
		}
		return true, err
	}
	l.query.Offset = first.Lines[0].Offset
	if to > 0 {
		l.end, err = l.offsetOf(ctx, to+1)
	}
	return false, err
}

// offsetOf answers where a line begins; 0 where there is none.
func (l *logCopy) offsetOf(ctx context.Context, line int64) (int64, error) {
	found, err := l.server.LogLines(ctx, l.query, line, 1)
	if err != nil || len(found.Lines) == 0 {
		return 0, err
	}
	return found.Lines[0].Offset, nil
}

// upToEnd ends a log where the part ends that was asked for.
func (l *logCopy) upToEnd(body io.Reader) io.Reader {
	if l.end == 0 {
		return body
	}
	return io.LimitReader(body, l.end-l.query.Offset)
}

// parseLines reads FROM-TO, FROM- or one number; to is 0 where it is the log's end.
func parseLines(text string) (from, to int64, err error) {
	wrong := usage(fmt.Sprintf("--lines %s is not a range of lines", text), "towpath log --lines 1200-1300; the first line is 1")
	first, last, isRange := strings.Cut(text, "-")
	if from, err = strconv.ParseInt(first, 10, 64); err != nil || from < 1 {
		return 0, 0, wrong
	}
	switch {
	case !isRange:
		return from, from, nil
	case last == "":
		return from, 0, nil
	}
	if to, err = strconv.ParseInt(last, 10, 64); err != nil || to < from {
		return 0, 0, wrong
	}
	return from, to, nil
}

// search prints the lines with a text.
func (l *logCopy) search(ctx context.Context, text string) error {
	all := client.LogLines{Lines: []client.LogLine{}}
	count := 0
	for from := int64(1); from > 0; {
		found, err := l.server.SearchLog(ctx, l.query, text, from, searchedAtOnce)
		if err != nil {
			return err
		}
		from, all.Total, count = found.Next, found.Total, count+len(found.Lines)
		if l.console.JSON {
			all.Lines = append(all.Lines, found.Lines...)
			continue
		}
		for _, line := range found.Lines {
			if _, err := fmt.Fprintf(l.console.Out, "%d: %s\n", line.Number, line.Text); err != nil {
				return err
			}
		}
	}
	if l.console.JSON {
		return writeJSON(l.console.Out, all)
	}
	if count == 0 {
		l.console.note("none of its %d lines has %q", all.Total, text)
	}
	return nil
}
