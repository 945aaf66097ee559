package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/towpath-cd/towpath"
)

// JUnit reads a file in JUnit's format, in which there is no standard: what Surefire, gotestsum, pytest, Jest and others
// write is understood. The error is an ErrMalformed, or that of the reader.
func JUnit(from io.Reader, limits Limits) (Read, error) {
	l := limits.withDefaults()
	source := newShortener(from, l.Bytes)
	decoder := xml.NewDecoder(source)
	decoder.CharsetReader = charset
	r := &junit{limits: l, decoder: decoder}
	if err := r.read(); err != nil {
		if source.broken == nil && !errors.Is(err, ErrMalformed) {
			err = fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return Read{}, fmt.Errorf("read a JUnit report: %w", err)
	}
	return Read{Results: r.results, LeftOut: r.leftOut}, nil
}

// junit is one file under way. encoding/xml knows no entities but the five of XML, and fetches nothing.
type junit struct {
	limits  Limits
	decoder *xml.Decoder
	suites  []string // names of those around
	path    []string // names of the elements around
	results []towpath.TestResult
	leftOut int
	test    *towpath.TestResult // that is being read
	failure string              // what its failure says
	printed string              // what it printed
}

func (r *junit) read() error {
	seen := false
	for {
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) && len(r.path) == 0 && seen {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it holds no report: %w", ErrMalformed)
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := r.begin(t); err != nil {
				return err
			}
			seen = true
		case xml.EndElement:
			r.end(t.Name.Local)
		case xml.CharData:
			r.text(string(t))
		}
	}
}

func (r *junit) begin(e xml.StartElement) error {
	name := e.Name.Local
	if len(r.path) == 0 && name != "testsuites" && name != "testsuite" {
		return fmt.Errorf("it begins with <%s>, and not with <testsuites> or <testsuite>: %w", clip(name, 40), ErrMalformed)
	}
	if r.path = append(r.path, name); len(r.path) > r.limits.Depth {
		return fmt.Errorf("elements stand %d deep in each other: %w", len(r.path), ErrMalformed)
	}
	switch name {
	case "testsuite":
		r.suites = append(r.suites, attribute(e, "name"))
	case "testcase":
		r.beginTest(e)
	case "failure", "error", "skipped", "flakyFailure", "flakyError":
		r.judge(name, e)
	}
	return nil
}

func (r *junit) beginTest(e xml.StartElement) {
	suite := attribute(e, "classname")
	if suite == "" && len(r.suites) > 0 {
		suite = r.suites[len(r.suites)-1]
	}
	r.test = &towpath.TestResult{
		Suite: clip(oneLine(suite), r.limits.Message), Name: clip(oneLine(attribute(e, "name")), r.limits.Message), Outcome: towpath.TestPassed, Took: seconds(attribute(e, "time")),
	}
	r.failure, r.printed = "", ""
}

// judge notes what an element inside a test says of it. Surefire tells of a failure before a pass by flakyFailure.
func (r *junit) judge(name string, e xml.StartElement) {
	if r.test == nil {
		return
	}
	if name == "flakyFailure" || name == "flakyError" {
		r.test.Flickering = "passed when it was tried again"
		return
	}
	outcome := towpath.TestFailed
	if name == "skipped" {
		outcome = towpath.TestSkipped
	}
	if r.test.Outcome == towpath.TestFailed {
		return // the first one says most
	}
	r.test.Outcome, r.test.Message = outcome, clip(firstLine(attribute(e, "message")), r.limits.Message)
}

func (r *junit) text(text string) {
	if r.test == nil || strings.TrimSpace(text) == "" {
		return
	}
	switch r.path[len(r.path)-1] {
	case "failure", "error", "skipped":
		r.failure = r.endOf(r.failure + text)
	case "system-out", "system-err":
		r.printed = r.endOf(r.printed + text)
	}
}

// endOf keeps of what a test said what may still be needed of it.
func (r *junit) endOf(text string) string {
	return tail(text, 2*r.limits.Output)
}

func (r *junit) end(name string) {
	r.path = r.path[:len(r.path)-1]
	switch name {
	case "testsuite":
		r.suites = r.suites[:len(r.suites)-1]
	case "testcase":
		r.endTest()
	}
}

func (r *junit) endTest() {
	if r.test == nil {
		return
	}
	test := *r.test
	r.test = nil
	if test.Name == "" && test.Suite == "" {
		return // nobody could find it
	}
	if test.Message == "" && test.Outcome != towpath.TestPassed {
		test.Message = clip(firstLine(r.failure), r.limits.Message)
	}
	if test.Outcome == towpath.TestFailed {
		test.Output = tail(strings.TrimSpace(r.failure), r.limits.Output)
		if test.Output == "" || test.Output == test.Message {
			test.Output = tail(strings.TrimSpace(r.printed), r.limits.Output)
		}
	}
	if len(r.results) >= r.limits.Results {
		r.leftOut++
		return
	}
	r.results = append(r.results, test)
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// seconds reads a time such as "1,234.5"; what is none is 0.
func seconds(text string) time.Duration {
	value, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(text), ",", ""), 64)
	if err != nil || math.IsNaN(value) || value < 0 || value > 1e6 {
		return 0
	}
	return time.Duration(value * float64(time.Second))
}

// oneLine makes a name of what may stand in several lines.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, text)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// clip keeps the beginning of a text, in whole characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// tail keeps the end of a text, in whole lines where there are any.
func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)-1 {
		return "…\n" + text[i+1:]
	}
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return "…" + text
}

// charset reads the encodings that reports have besides UTF-8.
func charset(label string, from io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii":
		return from, nil
	case "iso-8859-1", "latin1", "windows-1252", "cp1252":
		return &latin{from: from}, nil
	}
	return nil, fmt.Errorf("its encoding is %s, which is not read: %w", clip(label, 40), ErrMalformed)
}

// latin reads ISO 8859-1 as UTF-8.
type latin struct {
	from io.Reader
	rest []byte
}

func (l *latin) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		raw := make([]byte, 4096)
		n, err := l.from.Read(raw)
		for _, b := range raw[:n] {
			l.rest = utf8.AppendRune(l.rest, rune(b))
		}
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
