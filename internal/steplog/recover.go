package steplog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
)

// recover reads the log's state from its files, and clears away what a crash left half written: nothing of that
// was acknowledged. It says whether the log exists.
func (l *Log) recover() (exists bool, err error) {
	tail, tailErr := os.ReadFile(l.path + tailSuffix)
	if tailErr != nil && !errors.Is(tailErr, fs.ErrNotExist) {
		return false, fmt.Errorf("read the tail: %w", tailErr)
	}
	framed, err := l.recoverFrames()
	if err != nil {
		return false, err
	}
	l.recoverTail(tail)
	if !framed && tailErr != nil {
		return false, nil
	}
	if l.finished {
		return true, nil
	}
	return true, l.trim(len(tail))
}

// recoverFrames reads the headers of the frames, up to the first that is not whole.
func (l *Log) recoverFrames() (exists bool, err error) {
	file, err := os.Open(l.path + framesSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the frames: %w", err)
	}
	defer file.Close()
	for {
		f, err := readFrame(file, l.framesEnd)
		if err != nil || f.offset != l.last.offset || f.linesBefore != l.last.linesBefore {
			return true, nil
		}
		l.index = append(l.index, f)
		l.framesEnd = f.at + f.packed
		l.last = segment{offset: f.end(), linesBefore: f.linesBefore + f.lines, inside: f.inside}
	}
}

func readFrame(file *os.File, at int64) (frame, error) {
	header := make([]byte, frameHeaderSize)
	if _, err := file.ReadAt(header, at); err != nil {
		return frame{}, err
	}
	f, err := parseHeader(header)
	if err != nil {
		return frame{}, err
	}
	f.at = at + frameHeaderSize
	packed := make([]byte, f.packed)
	if _, err := file.ReadAt(packed, f.at); err != nil {
		return frame{}, err
	}
	if crc32.Checksum(packed, castagnoli) != f.sum {
		return frame{}, errTorn
	}
	return f, nil
}

// recoverTail takes the records that follow the frames, up to the first that is not whole.
func (l *Log) recoverTail(content []byte) {
	rest := content
	for {
		r, after, err := parseRecord(rest)
		v := l.view()
		if err != nil || r.offset > v.size() {
			return
		}
		if r.offset == v.size() {
			l.finished = r.seal
			if !r.seal {
				l.last = v.last.grow(r.data, r.at)
			}
		}
		rest = after
		l.tailEnd = int64(len(content) - len(rest))
	}
}

// trim cuts both files after what is whole, and makes that durable: who asks for the size now takes it for
// acknowledged.
func (l *Log) trim(tailLength int) error {
	if tailLength > 0 {
		if err := trimFile(l.path+tailSuffix, l.tailEnd); err != nil {
			return err
		}
	}
	if err := trimFile(l.path+framesSuffix, l.framesEnd); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func trimFile(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("clear a torn end: %w", err)
	}
	if err := errors.Join(file.Truncate(size), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("clear a torn end: %w", err)
	}
	return nil
}
