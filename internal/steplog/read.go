package steplog

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"time"
)

const (
	// MaxLineBytes is how much of a line Read returns.
	MaxLineBytes = 256 << 10
	// maxPageBytes bounds the memory of one Read.
	maxPageBytes = 4 << 20
)

// Line is one line of a log.
type Line struct {
	Number int64     // counted from 0
	Offset int64     // of its first byte in the log
	At     time.Time // when it was begun; zero where that is lost
	Text   []byte    // without the newline; at most MaxLineBytes
	Cut    bool      // it is longer than that
	Open   bool      // its newline has not come yet
}

// view is a log at one moment. It stays right while the log grows.
type view struct {
	log   *Log
	index []frame
	last  segment
}

func (l *Log) view() view {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return view{l, l.index, l.last}
}

func (v view) size() int64 { return v.last.offset + int64(len(v.last.raw)) }

// segment returns the i-th piece: the frames, and behind them the tail.
func (v view) segment(i int) (segment, error) {
	if i == len(v.index) {
		return v.last, nil
	}
	return v.log.store.decode(v.log.path, v.index[i])
}

func (v view) linesBefore(i int) int64 {
	if i == len(v.index) {
		return v.last.linesBefore
	}
	return v.index[i].linesBefore
}

// Read returns up to n lines, beginning with the line numbered from (0 is the first); fewer at the end of the log,
// and where they are very long. No lines and no error mean that there are none yet.
func (l *Log) Read(from int64, n int) ([]Line, error) {
	v := l.view()
	// Line `from` begins behind a newline that stands in the last piece with fewer newlines before it.
	at := max(0, sort.Search(len(v.index)+1, func(i int) bool { return v.linesBefore(i) >= from })-1)
	page := page{want: from, limit: n}
	for ; at <= len(v.index) && !page.isFull(); at++ {
		g, err := v.segment(at)
		if err != nil {
			return nil, fmt.Errorf("read log %s from line %d: %w", l.name, from, err)
		}
		page.add(g)
	}
	return page.finish(), nil
}

// page collects lines from segments in order.
type page struct {
	want   int64 // number of the first line wanted
	limit  int
	lines  []Line
	bytes  int
	begun  *Line // its end has not been seen yet
	number int64
}

func (p *page) isFull() bool { return len(p.lines) >= p.limit || p.bytes >= maxPageBytes }

func (p *page) add(g segment) {
	raw, stamps := g.raw, g.stamps
	p.number = g.linesBefore
	for len(raw) > 0 && !p.isFull() {
		text, complete := raw, false
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			text, complete = raw[:i], true
		}
		if p.number >= p.want {
			for len(stamps) > 1 && stamps[1].line <= p.number {
				stamps = stamps[1:]
			}
			p.extend(text, g.offset+int64(len(g.raw)-len(raw)), stamps)
		}
		if complete {
			p.end(false)
			text = raw[:len(text)+1]
		}
		raw = raw[len(text):]
	}
}

// extend adds text to the line that was begun, or begins one.
func (p *page) extend(text []byte, offset int64, stamps []stamp) {
	if p.begun == nil {
		p.begun = &Line{Number: p.number, Offset: offset}
		if stamps[0].at != 0 {
			p.begun.At = time.UnixMilli(stamps[0].at)
		}
	}
	room := MaxLineBytes - len(p.begun.Text)
	if len(text) > room {
		text, p.begun.Cut = text[:room], true
	}
	p.begun.Text = append(p.begun.Text, text...)
	p.bytes += len(text)
}

func (p *page) end(open bool) {
	p.number++
	if p.begun == nil {
		return
	}
	p.begun.Open = open
	p.lines = append(p.lines, *p.begun)
	p.begun = nil
}

func (p *page) finish() []Line {
	if p.begun != nil && len(p.lines) < p.limit {
		p.end(true)
	}
	return p.lines
}

// ReadAt reads the log's bytes, uncompressed, as io.ReaderAt says.
func (l *Log) ReadAt(p []byte, offset int64) (int, error) {
	v := l.view()
	n := 0
	i := sort.Search(len(v.index), func(i int) bool { return v.index[i].end() > offset })
	for ; n < len(p) && i <= len(v.index); i++ {
		g, err := v.segment(i)
		if err != nil {
			return n, fmt.Errorf("read log %s at %d: %w", l.name, offset, err)
		}
		if skip := offset + int64(n) - g.offset; skip < int64(len(g.raw)) {
			n += copy(p[n:], g.raw[skip:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// isDamaged says whether some of these bytes are not what was appended.
func (l *Log) isDamaged(offset int64, n int) bool {
	v := l.view()
	i := sort.Search(len(v.index), func(i int) bool { return v.index[i].end() > offset })
	for ; i < len(v.index) && v.index[i].offset < offset+int64(n); i++ {
		if g, err := v.segment(i); err == nil && g.lost {
			return true
		}
	}
	return false
}

// Reader returns the bytes that the log holds now, from offset on.
func (l *Log) Reader(offset int64) io.Reader {
	return io.NewSectionReader(l, offset, l.Size()-offset)
}
