package steplog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// recover reads the log's state from its files. Of a log that still grows it clears away what a crash left half written:
// nothing of that was acknowledged. In one that is finished nothing is half written; what cannot be read there is damaged,
// and costs only itself. It says whether the log exists.
func (l *Log) recover() (exists bool, err error) {
	tail, tailErr := os.ReadFile(l.path + tailSuffix)
	if tailErr != nil && !errors.Is(tailErr, fs.ErrNotExist) {
		return false, fmt.Errorf("read the tail: %w", tailErr)
	}
	seal, sealed := sealOf(tail)
	framed, err := l.recoverFrames(sealed)
	if err != nil {
		return false, err
	}
	if !framed && tailErr != nil {
		return false, nil
	}
	l.recoverTail(tail, sealed)
	if !sealed {
		return true, l.trim(len(tail))
	}
	l.loseInTail(seal.offset)
	l.finished = true
	return true, nil
}

// sealOf is the record that a finished log's tail ends with.
func sealOf(tail []byte) (seal record, sealed bool) {
	if len(tail) < recordHeaderSize {
		return record{}, false
	}
	seal, _, err := parseRecord(tail[len(tail)-recordHeaderSize:])
	return seal, err == nil && seal.seal
}

// recoverFrames reads the headers of the frames. What is missing between two of them is lost.
func (l *Log) recoverFrames(sealed bool) (exists bool, err error) {
	file, err := os.Open(l.path + framesSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the frames: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("open the frames: %w", err)
	}
	for l.framesEnd < info.Size() {
		f, err := readHeader(file, l.framesEnd, info.Size())
		if err != nil || f.offset != l.last.offset || f.linesBefore != l.last.linesBefore {
			var found bool
			if f, found = l.nextFrame(file, l.framesEnd, info.Size()); !found {
				break
			}
			l.lose(f.offset, f.linesBefore-l.last.linesBefore)
		}
		l.addFrame(f)
		l.framesEnd = f.at + f.packed
	}
	if !sealed {
		l.dropTorn(file)
	}
	return true, nil
}

// dropTorn takes back what was written last, from the first frame of it on that is not whole: it was not acknowledged. All
// before it was, and if it is not whole it is damaged.
func (l *Log) dropTorn(file *os.File) {
	if len(l.index) == 0 {
		return
	}
	last := l.index[len(l.index)-1]
	begin := last.at - frameHeaderSize - last.group
	for i := len(l.index) - 1; i >= 0 && l.index[i].at >= begin; i-- {
		if f := l.index[i]; f.lost || !isWhole(file, f) {
			l.cutFrames(i)
		}
	}
}

// cutFrames forgets the frames from the i-th on.
func (l *Log) cutFrames(i int) {
	kept := l.index[:i]
	l.index, l.last, l.framesEnd = nil, segment{}, 0
	for _, f := range kept {
		l.addFrame(f)
		if !f.lost {
			l.framesEnd = f.at + f.packed
		}
	}
}

// readHeader reads the header of the frame at a place in the file, into which the frame has to fit.
func readHeader(file io.ReaderAt, at, size int64) (frame, error) {
	header := make([]byte, frameHeaderSize)
	if _, err := file.ReadAt(header, at); err != nil {
		return frame{}, err
	}
	f, err := parseHeader(header)
	if err != nil {
		return frame{}, err
	}
	f.at = at + frameHeaderSize
	if f.at+f.packed > size {
		return frame{}, errTorn
	}
	return f, nil
}

func isWhole(file io.ReaderAt, f frame) bool {
	packed := make([]byte, f.packed)
	_, err := file.ReadAt(packed, f.at)
	return err == nil && crc32.Checksum(packed, castagnoli) == f.sum
}

// recoverTail takes the records that follow the frames: of a log that still grows up to the first that is not whole, of a
// finished one all that are whole.
func (l *Log) recoverTail(content []byte, sealed bool) {
	rest := content
	for len(rest) > 0 {
		r, after, err := parseRecord(rest)
		isNext := err == nil && r.offset <= l.Size()
		if !isNext && !sealed {
			return
		}
		if !isNext && (err != nil || !l.loseInTail(r.offset)) {
			rest = rest[1:]
			continue
		}
		if r.offset == l.Size() && !r.seal {
			l.last = l.last.grow(r.data, r.at)
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
