package steplog

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

const (
	// maxLost is how many bytes in a row may be missing of a log that is worth looking for the rest of.
	maxLost = 64 << 30
	// searchBytes is how much of a file is searched at a time for the next frame.
	searchBytes = 1 << 20
	// maxTail is more than a tail ever holds, in bytes.
	maxTail = 2 * frameBytes
)

var frameBegin = little.AppendUint32(nil, frameMagic)

// damaged stands in for a frame that cannot be read: so long, and of so many lines, that all behind it keeps its place.
func (f frame) damaged() segment {
	return segment{
		offset: f.offset, linesBefore: f.linesBefore, lost: true, raw: lostText(f.length, f.lines),
		stamps: []stamp{{line: f.linesBefore}},
	}
}

// lostText is bytes with so many newlines that say in their first line that they are not what was printed.
func lostText(length, lines int64) []byte {
	text := bytes.Repeat([]byte{' '}, int(length))
	copy(text, fmt.Sprintf("… %d bytes cannot be read: they are damaged on the server's disk", length))
	if lines == 0 {
		return text
	}
	first := min(120, length-lines+1)
	for i := range lines {
		text[first+(length-first)*i/max(1, lines-1)-1] = '\n'
	}
	return text
}

// lose notes that nothing is left of the log up to an offset, which held so many lines; below 0 nobody knows how many.
func (l *Log) lose(to, lines int64) {
	from, before := l.last.offset, l.last.linesBefore
	length := to - from
	pieces := (length + frameBytes - 1) / frameBytes
	if lines < 0 {
		lines = pieces
	}
	for i := range pieces {
		f := frame{
			offset: from + length*i/pieces, length: length*(i+1)/pieces - length*i/pieces,
			linesBefore: before + lines*i/pieces, at: l.framesEnd, lost: true,
		}
		f.lines = min(f.length, lines*(i+1)/pieces-lines*i/pieces)
		f.inside = f.lines == 0
		l.addFrame(f)
	}
}

// loseInTail is the same for what stood in the tail. Behind what is left of it no more can be missing than a tail holds.
func (l *Log) loseInTail(to int64) bool {
	gap := to - l.Size()
	switch {
	case gap > maxLost || len(l.last.raw) > 0 && gap > maxTail:
		return false
	case gap <= 0:
	case len(l.last.raw) == 0:
		l.lose(to, -1)
	default:
		l.last = l.last.grow(lostText(gap, 1), 0)
	}
	return true
}

// addFrame puts a frame behind all else that the log has.
func (l *Log) addFrame(f frame) {
	l.index = append(l.index, f)
	l.last = segment{offset: f.end(), linesBefore: f.linesBefore + f.lines, inside: f.inside}
}

// follows says that a frame stands where the log ends, or so far behind that what is between them may have been lost.
func (l *Log) follows(f frame) bool {
	gap, lines := f.offset-l.last.offset, f.linesBefore-l.last.linesBefore
	return gap >= 0 && gap <= maxLost && lines >= 0 && lines <= gap
}

// nextFrame looks from a place in the file on for a frame that is whole.
func (l *Log) nextFrame(file *os.File, at, size int64) (frame, bool) {
	window := make([]byte, searchBytes)
	for at < size {
		n, err := file.ReadAt(window, at)
		if err != nil && err != io.EOF { //nolint:errorlint // of an io.ReaderAt
			return frame{}, false
		}
		found := bytes.Index(window[:n], frameBegin)
		if found < 0 {
			at += int64(max(1, n-len(frameBegin)+1))
			continue
		}
		at += int64(found)
		if f, err := readHeader(file, at, size); err == nil && l.follows(f) && isWhole(file, f) {
			return f, true
		}
		at++
	}
	return frame{}, false
}
