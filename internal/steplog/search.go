package steplog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"
)

const (
	// MaxExcerptBytes is how much is answered of a line that was found.
	MaxExcerptBytes = 2000
	// maxHeldBytes is how much of a line is held until its end comes; a longer one is searched in parts.
	maxHeldBytes = MaxLineBytes
	// overlapBytes is how much two such parts have in common, and the longest text that is found across them.
	overlapBytes = 4096
)

// Search is what is looked for in a log.
type Search struct {
	Text  string // without a capital letter it stands for capital letters as well; colours are looked through
	From  int64  // number of the first line that is looked at
	Limit int    // how many lines are answered
}

// Found is what was found.
type Found struct {
	Lines []Line // of a long one only what stands around the text
	Next  int64  // number of the line from which to go on
	More  bool   // whether there is anything to go on for; else the log's present end was reached
}

// Search looks for lines with a text. It holds a piece of the log at a time, and ends with ctx.
func (l *Log) Search(ctx context.Context, q Search) (Found, error) {
	if q.Text == "" || len(q.Text) > overlapBytes/2 || q.Limit < 1 {
		return Found{}, fmt.Errorf("search log %s: %w", l.name, ErrSearch)
	}
	v := l.view()
	buffer := l.store.borrow()
	defer func() { l.store.giveBack(buffer) }()
	h := &hunt{Search: q, needle: newNeedle(q.Text)}
	at := max(0, sort.Search(len(v.index)+1, func(i int) bool { return v.linesBefore(i) >= q.From })-1)
	for ; at <= len(v.index) && !h.isFull(); at++ {
		if ctx.Err() != nil {
			return Found{}, context.Cause(ctx)
		}
		g := v.last
		if at < len(v.index) {
			f := v.index[at]
			buffer = slices.Grow(buffer[:0], int(f.length)+f.stamps*stampSize)
			var err error
			if g, err = l.store.load(l.path, f, buffer); err != nil {
				return Found{}, fmt.Errorf("search log %s: %w", l.name, err)
			}
		}
		h.add(g)
	}
	h.final = true
	h.part(h.held, true)
	return h.found(), nil
}

// hunt looks through segments in order.
type hunt struct {
	Search
	needle  needle
	lines   []Line
	held    []byte // of the line whose end has not come yet
	begun   bool   // some of that line was searched before
	hit     bool   // and had the text
	number  int64  // of the first line in held
	offset  int64  // of held in the log
	at      int64  // when that line was begun
	stamps  []stamp
	started bool
	final   bool // nothing follows
	small   []byte
}

func (h *hunt) isFull() bool { return len(h.lines) >= h.Limit }

func (h *hunt) found() Found {
	f := Found{Lines: h.lines, More: h.isFull()}
	if f.More {
		f.Next = h.lines[len(h.lines)-1].Number + 1
	}
	return f
}

func (h *hunt) add(g segment) {
	if !h.started {
		h.started, h.number, h.offset, h.begun = true, g.linesBefore, g.offset, false
	}
	if len(g.raw) == 0 {
		return
	}
	h.stamps = g.stamps
	if len(h.held) == 0 && !h.begun {
		h.at = g.stamps[0].at
	}
	rest := g.raw
	if end := bytes.IndexByte(rest, '\n'); end >= 0 && (len(h.held) > 0 || h.begun) {
		h.held = append(h.held, rest[:end+1]...) // the line that was begun before
		h.part(h.held, true)
		h.held, rest = h.held[:0], rest[end+1:]
	}
	if end := bytes.LastIndexByte(rest, '\n'); end >= 0 && len(h.held) == 0 {
		h.at = 0
		h.part(rest[:end+1], true)
		rest = rest[end+1:]
	}
	if len(h.held) == 0 && len(rest) > 0 && !h.begun {
		h.at = h.timeOf(h.number)
	}
	if h.held = append(h.held, rest...); len(h.held) > maxHeldBytes {
		h.part(h.held, false)
		kept := h.held[len(h.held)-overlapBytes:]
		h.offset += int64(len(h.held) - len(kept))
		h.held, h.begun = append(h.held[:0], kept...), true
	}
}

// timeOf answers when a line of the present segment was begun.
func (h *hunt) timeOf(number int64) int64 {
	if h.at != 0 {
		return h.at
	}
	i := sort.Search(len(h.stamps), func(i int) bool { return h.stamps[i].line > number })
	return h.stamps[max(0, i-1)].at
}

// part looks through text, which begins within the line with the present number, or at its beginning, and goes to the end
// of a line where it is whole.
func (h *hunt) part(text []byte, whole bool) {
	if len(text) == 0 {
		return
	}
	seen, line := text, text // the same lines, as people see them and as they are
	if bytes.IndexByte(seen, 0x1b) >= 0 {
		seen = withoutColours(seen)
	}
	h.small = h.needle.folded(seen, h.small)
	seen = h.small
	number := h.number
	for !h.isFull() {
		at := bytes.Index(seen, h.needle.text)
		if at < 0 {
			break
		}
		before := bytes.Count(seen[:at], newline)
		line = line[skipLines(line, before):]
		number += int64(before)
		h.hitLine(line, number, h.offset+int64(len(text)-len(line)))
		end := bytes.IndexByte(seen[at:], '\n')
		if end < 0 {
			break
		}
		seen, line = seen[at+end+1:], line[skipLines(line, 1):]
		number++
	}
	if whole {
		h.number += int64(bytes.Count(text, newline))
		h.offset += int64(len(text))
		h.begun, h.hit, h.at = false, false, 0
	}
}

// hitLine notes a line once, however many parts it is searched in.
func (h *hunt) hitLine(text []byte, number, offset int64) {
	isFirst := number == h.number
	if number < h.From || isFirst && h.hit {
		return
	}
	open := h.final
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text, open = text[:end], false
	}
	found := Line{Number: number, Offset: offset, Open: open, Cut: isFirst && h.begun}
	if isFirst {
		h.hit = true
	}
	if at := h.timeOf(number); at != 0 {
		found.At = time.UnixMilli(at)
	}
	if len(text) > MaxExcerptBytes {
		at := max(0, bytes.Index(h.needle.folded(text, nil), h.needle.text)-MaxExcerptBytes/4)
		found.Offset += int64(at)
		text, found.Cut = text[at:min(len(text), at+MaxExcerptBytes)], true
	}
	found.Text = bytes.Clone(text)
	h.lines = append(h.lines, found)
}

// skipLines is how many bytes so many lines have.
func skipLines(text []byte, lines int) int {
	at := 0
	for range lines {
		at += bytes.IndexByte(text[at:], '\n') + 1
	}
	return at
}

// needle is the text that is looked for.
type needle struct {
	text  []byte
	folds bool // capital letters count as small ones
}

func newNeedle(text string) needle {
	return needle{text: []byte(text), folds: !hasCapital([]byte(text))}
}

func hasCapital(text []byte) bool {
	return bytes.ContainsFunc(text, func(r rune) bool { return r >= 'A' && r <= 'Z' })
}

// folded copies a text into a buffer, without what makes no difference.
func (n needle) folded(text, buffer []byte) []byte {
	buffer = append(buffer[:0], text...)
	if n.folds {
		for i, b := range buffer {
			if b-'A' < 26 {
				buffer[i] = b + 'a' - 'A'
			}
		}
	}
	return buffer
}

// withoutColours takes a terminal's control sequences out (ECMA-48, 5.4): an escape, a bracket, parameters, a final byte.
func withoutColours(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for {
		at := bytes.Index(text, []byte("\x1b["))
		if at < 0 {
			return append(out, text...)
		}
		out, text = append(out, text[:at]...), text[at+2:]
		end := 0
		for end < len(text) && text[end] >= 0x20 && text[end] < 0x40 {
			end++
		}
		if end < len(text) && text[end] >= 0x40 && text[end] < 0x7f {
			end++
		}
		text = text[end:]
	}
}
