package steplog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// write makes p durable, in the tail or, when enough came together, in frames; then readers may see it.
func (l *Log) write(p []byte, at int64) error {
	v := l.view()
	if len(v.last.raw) == 0 && len(p) >= frameBytes {
		whole := v.last.stamped(p, at)
		whole.raw = p // which is the caller's: frames keep nothing of it
		return l.writeFrames(whole)
	}
	grown := v.last.grow(p, at)
	if len(grown.raw) >= frameBytes {
		return l.writeFrames(grown)
	}
	if err := l.writeTail(record{offset: v.size(), at: at, data: p}); err != nil {
		return err
	}
	l.publish(func() { l.last = grown })
	return nil
}

// grow returns the segment with p behind it. What readers hold of the old one stays as it is.
func (g segment) grow(p []byte, at int64) segment {
	g = g.stamped(p, at)
	g.raw = append(g.raw, p...)
	return g
}

// stamped returns the segment with the time of what is about to stand behind it.
func (g segment) stamped(p []byte, at int64) segment {
	begun, begins := g.lines(), true // the first line that begins in p, if one does
	if g.endsInside() {
		begun++
		first := bytes.IndexByte(p, '\n')
		begins = first >= 0 && first+1 < len(p)
	}
	if n := len(g.stamps); n == 0 {
		g.stamps = append(g.stamps, stamp{g.linesBefore, at})
	} else if begins && g.stamps[n-1].at != at {
		g.stamps = append(g.stamps, stamp{begun, at})
	}
	return g
}

// cut takes a frame's worth off the segment's beginning; all of it, when less than another frame would be left.
func (g segment) cut() (head, rest segment) {
	if len(g.raw) < 2*frameBytes {
		return g, g.next()
	}
	head = g
	head.raw = g.raw[:frameBytes]
	rest = head.next()
	rest.raw = g.raw[frameBytes:]
	i := 1
	for i < len(g.stamps) && g.stamps[i].line <= rest.linesBefore {
		i++
	}
	head.stamps = g.stamps[:i]
	rest.stamps = append([]stamp{{rest.linesBefore, g.stamps[i-1].at}}, g.stamps[i:]...)
	return head, rest
}

// writeFrames turns the whole segment into frames. The tail's file is emptied only once they are durable; a crash
// before leaves both, and then the frames count.
func (l *Log) writeFrames(g segment) error {
	if err := l.openFile(&l.frames, framesSuffix); err != nil {
		return err
	}
	end, out := l.framesEnd, l.store.borrow()
	defer func() { l.store.giveBack(out) }()
	var added []frame
	for len(g.raw) > 0 {
		var head segment
		head, g = g.cut()
		var f frame
		out, f = l.store.encode(out, head)
		f.at += end
		added = append(added, f)
	}
	if err := l.writeDurably(l.frames, out, end); err != nil {
		return err
	}
	l.framesEnd += int64(len(out))
	l.publish(func() { l.index, l.last = append(l.index, added...), g })
	return l.emptyTail()
}

func (l *Log) emptyTail() error {
	if l.tail == nil || l.tailEnd == 0 {
		return nil
	}
	if err := l.tail.Truncate(0); err != nil {
		return l.fail(fmt.Errorf("empty the tail: %w", err))
	}
	l.tailEnd = 0
	return nil
}

func (l *Log) writeTail(r record) error {
	if err := l.openFile(&l.tail, tailSuffix); err != nil {
		return err
	}
	encoded := r.encode()
	if err := l.writeDurably(l.tail, encoded, l.tailEnd); err != nil {
		return err
	}
	l.tailEnd += int64(len(encoded))
	return nil
}

func (l *Log) seal(end int64) error {
	if v := l.view(); len(v.last.raw) > smallTail {
		if err := l.writeFrames(v.last); err != nil {
			return err
		}
	}
	if err := l.writeTail(record{seal: true, offset: end}); err != nil {
		return err
	}
	l.publish(func() { l.finished = true })
	return l.closeFiles()
}

// writeDurably writes at the end of a file. When that fails, half a record may be left: the log is broken until it
// was opened again and has cleared that away.
func (l *Log) writeDurably(file *os.File, p []byte, at int64) error {
	if _, err := file.WriteAt(p, at); err != nil {
		return l.fail(fmt.Errorf("write %d bytes: %w", len(p), err))
	}
	place := failpoint.At("add to a log")
	place.Before()
	if err := file.Sync(); err != nil {
		return l.fail(fmt.Errorf("make %d bytes durable: %w", len(p), err))
	}
	place.After()
	return nil
}

// openFile opens one of the log's two files for writing. A new one's name is durable when it returns.
func (l *Log) openFile(file **os.File, suffix string) error {
	if *file != nil {
		return nil
	}
	dir := filepath.Dir(l.path)
	opened, err := os.OpenFile(l.path+suffix, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err = makeDurably(dir); err == nil {
			opened, err = os.OpenFile(l.path+suffix, os.O_RDWR|os.O_CREATE, 0o600)
		}
		err = errors.Join(err, durable.SyncFolder(dir))
	}
	if err != nil {
		return fmt.Errorf("open for writing: %w", err)
	}
	*file = opened
	return nil
}

func makeDurably(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	return durable.SyncFolder(filepath.Dir(dir))
}
