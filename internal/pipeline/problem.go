package pipeline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// maxProblems is how many mistakes are told at once; a file with more is not read by anyone to its end.
const maxProblems = 100

// Severity says whether a problem keeps the file from being used.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one mistake in a pipeline file, or one thing in it that is probably not meant.
type Problem struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`   // counts from 1
	Column   int      `json:"column"` // counts from 1, in characters
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`    // what would be right
	Excerpt  string   `json:"excerpt,omitempty"` // the line itself, mostly with the one before and a mark below
}

// String is the problem as people read it, on several lines.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Severity == SeverityWarning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message + "\n" + p.Excerpt)
	switch {
	case strings.HasPrefix(p.Hint, "did you mean"):
		b.WriteString(p.Hint + "\n")
	case p.Hint != "":
		b.WriteString("hint: " + p.Hint + "\n")
	}
	return b.String()
}

// Problems is all that is to be said about a file, in the order of its lines.
type Problems []Problem

// Errors counts the problems that keep the file from being used.
func (p Problems) Errors() int {
	n := 0
	for _, problem := range p {
		if problem.Severity == SeverityError {
			n++
		}
	}
	return n
}

// Warnings counts the problems that do not.
func (p Problems) Warnings() int { return len(p) - p.Errors() }

// Err is an error of [towpath.CodeInvalid] that names the first mistake, and nil where there are only warnings.
func (p Problems) Err() error {
	i := slices.IndexFunc(p, func(problem Problem) bool { return problem.Severity == SeverityError })
	if i < 0 {
		return nil
	}
	first := p[i]
	message := fmt.Sprintf("%s:%d:%d: %s", first.File, first.Line, first.Column, first.Message)
	if more := p.Errors() - 1; more > 0 {
		message += ", and " + count(more, "error") + " more"
	}
	return &towpath.Error{Code: towpath.CodeInvalid, Message: message, Hint: first.Hint}
}

// WriteTo prints all problems and their number. It writes nothing where there are none.
func (p Problems) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, p.String())
	return int64(n), err
}

// String is what WriteTo prints.
func (p Problems) String() string {
	if len(p) == 0 {
		return ""
	}
	var b strings.Builder
	for _, problem := range p {
		b.WriteString(problem.String() + "\n")
	}
	return b.String() + p.summary() + "\n"
}

func (p Problems) summary() string {
	switch errors, warnings := p.Errors(), p.Warnings(); {
	case errors == 0:
		return count(warnings, "warning")
	case warnings == 0:
		return count(errors, "error") + "; nothing was run"
	default:
		return count(errors, "error") + ", " + count(warnings, "warning") + "; nothing was run"
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// report collects problems while a file is read.
type report struct {
	source   source
	problems Problems
	seen     map[Problem]bool // without excerpt: what an alias repeats is told once
	dropped  int
}

func newReport(s source) *report { return &report{source: s, seen: map[Problem]bool{}} }

// wrong tells of a word in the file that is wrong; the mark stands below it.
func (r *report) wrong(at place, message, hint string) {
	r.add(SeverityError, at, message, hint, r.source.marked(at))
}

// unfit tells of something that is right by itself but does not fit the rest of the file.
func (r *report) unfit(at place, message, hint string) {
	r.add(SeverityError, at, message, hint, r.source.line(at))
}

// doubt tells of something that may stand but is probably not meant.
func (r *report) doubt(at place, message, hint string) {
	r.add(SeverityWarning, at, message, hint, r.source.line(at))
}

func (r *report) add(severity Severity, at place, message, hint, excerpt string) {
	p := Problem{
		Severity: severity, File: r.source.name, Line: at.line, Column: at.column,
		Message: printable(message), Hint: printable(hint),
	}
	if r.seen[p] {
		return
	}
	if len(r.problems) == maxProblems {
		r.dropped++
		return
	}
	r.seen[p] = true
	p.Excerpt = excerpt
	r.problems = append(r.problems, p)
}

// sorted answers the problems in the order of the file.
func (r *report) sorted() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if r.dropped > 0 && len(r.problems) == maxProblems {
		last := &r.problems[maxProblems-1]
		last.Hint = strings.TrimPrefix(last.Hint+"; and "+count(r.dropped, "problem")+" more, not shown", "; ")
	}
	return r.problems
}

func (r *report) failed() bool { return r.problems.Errors() > 0 }
