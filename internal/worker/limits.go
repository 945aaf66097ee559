package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/towpath-cd/towpath/internal/steplog"
)

const (
	// DefaultLogLimit is how much is kept of a step's log where the server says nothing, in bytes.
	DefaultLogLimit = 256_000_000
	// lineLimit is how much is kept of a line, in bytes.
	lineLimit = 1_000_000
	// lastKept is how much is kept of the end of a log that is longer than its limit, in bytes: an end tells most.
	lastKept = 64_000
)

// lineCut keeps the beginning of a line that is too long, and says how much it left out.
type lineCut struct {
	to      io.Writer
	most    int   // bytes that are kept of a line
	length  int   // of the line that has begun
	leftOut int64 // of that line
}

// Write never keeps anything back.
func (c *lineCut) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if c.length+len(rest) <= c.most { // no line of these can become too long
			_, _ = c.to.Write(rest)
			c.length += len(rest)
			if i := bytes.LastIndexByte(rest, '\n'); i >= 0 {
				c.length = len(rest) - i - 1
			}
			break
		}
		rest = rest[c.take(rest):]
	}
	return len(p), nil
}

// take passes on what there is of one line, and answers how much that was.
func (c *lineCut) take(text []byte) int {
	end := bytes.IndexByte(text, '\n')
	line := text
	if end >= 0 {
		line = text[:end]
	}
	kept := min(len(line), c.most-c.length)
	_, _ = c.to.Write(line[:kept])
	c.length += kept
	c.leftOut += int64(len(line) - kept)
	if end < 0 {
		return len(line)
	}
	c.flush()
	_, _ = c.to.Write(text[end : end+1])
	c.length = 0
	return end + 1
}

// flush ends a line that was cut with what it lacks.
func (c *lineCut) flush() {
	if c.leftOut > 0 {
		_, _ = fmt.Fprintf(c.to, " … %s of this line not kept: a line is limited to %s", sizeOf(c.leftOut), sizeOf(int64(c.most)))
	}
	c.leftOut = 0
}

// logCut keeps the beginning and the end of a log that is too long, and says how much is missing in between.
type logCut struct {
	to     io.Writer
	limit  int64 // bytes
	kept   int64 // of the beginning
	inside bool  // what was kept ends within a line
	full   bool
	more   int64  // what came after the beginning
	last   []byte // the end of that
}

func (c *logCut) Write(p []byte) (int, error) {
	begin := c.beginning(p)
	if begin > 0 {
		_, _ = c.to.Write(p[:begin])
		c.kept += int64(begin)
		c.inside = p[begin-1] != '\n'
	}
	if begin == len(p) {
		return len(p), nil
	}
	if !c.full {
		c.full = true
		_, _ = fmt.Fprintf(c.to, "… the log is limited to %s: of what follows the last %s are kept\n", sizeOf(c.limit), sizeOf(lastKept))
	}
	rest := p[begin:]
	c.more += int64(len(rest))
	c.last = append(c.last, rest[max(0, len(rest)-lastKept):]...)
	if len(c.last) > 4*lastKept {
		c.last = append(c.last[:0], c.last[len(c.last)-lastKept:]...)
	}
	return len(p), nil
}

// beginning is how much of p belongs to the beginning: whole lines, of which the last may go beyond the limit.
func (c *logCut) beginning(p []byte) int {
	room := c.limit - c.kept
	switch {
	case c.full:
		return 0
	case int64(len(p)) <= room:
		return len(p)
	}
	if i := bytes.LastIndexByte(p[:max(room, 0)], '\n'); i >= 0 {
		return i + 1
	}
	if !c.inside {
		return 0
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

// flush writes the end.
func (c *logCut) flush() {
	last := c.last[max(0, len(c.last)-lastKept):]
	if c.more > int64(len(last)) {
		if i := bytes.IndexByte(last, '\n'); i >= 0 {
			last = last[i+1:]
		}
		_, _ = fmt.Fprintf(c.to, "… %s not kept: the log is limited to %s\n", sizeOf(c.more-int64(len(last))), sizeOf(c.limit))
	}
	_, _ = c.to.Write(last)
	c.more, c.last = 0, nil
}

// keptOutput writes into a spool. What finds no room on the disk is counted and told; the script never hears of it.
type keptOutput struct {
	to       *steplog.Spool
	complete bool // what was written ends with a complete line
	missing  int64
	why      error
}

func (k *keptOutput) Write(p []byte) (int, error) {
	if len(p) == 0 || k.missing > 0 && !k.tell() {
		k.missing += int64(len(p))
		return len(p), nil
	}
	k.write(p)
	return len(p), nil
}

// write notes what cannot be written.
func (k *keptOutput) write(p []byte) {
	n, err := k.to.Write(p)
	if n > 0 {
		k.complete = p[n-1] == '\n'
	}
	if err != nil {
		k.missing, k.why = k.missing+int64(len(p)-n), err
	}
}

// tell writes what is missing, and answers whether there was room for that.
func (k *keptOutput) tell() bool {
	mark := k.mark()
	n, err := k.to.Write(mark)
	if n > 0 {
		k.complete = mark[n-1] == '\n'
	}
	if err != nil {
		return false
	}
	k.missing = 0
	return true
}

func (k *keptOutput) mark() []byte {
	begin := ""
	if !k.complete {
		begin = "\n"
	}
	why := k.why
	if failed, ok := errors.AsType[*fs.PathError](why); ok {
		why = failed.Err
	}
	return fmt.Appendf(nil, "%s… %s not kept: the worker's disk: %v\n", begin, sizeOf(k.missing), why)
}

// end writes the last line, if there is one, also where the disk has no room for it.
func (k *keptOutput) end(last string) {
	if k.missing > 0 && !k.tell() {
		k.to.WriteLast(k.mark())
		k.complete = true
	}
	if last != "" {
		line := fmt.Appendf(nil, "towpath: %s\n", last)
		if !k.complete {
			line = append([]byte("\n"), line...)
		}
		k.to.WriteLast(line)
	}
	k.to.End()
}

// sizeOf is a number of bytes for people.
func sizeOf(bytes int64) string {
	const step = 1000
	if bytes < step {
		return fmt.Sprintf("%d bytes", bytes)
	}
	value := float64(bytes)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if value /= step; value < step {
			return fmt.Sprintf("%.3g %s", value, unit)
		}
	}
	return fmt.Sprintf("%.3g TB", value/step)
}
