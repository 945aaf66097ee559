package steplog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	tailSuffix   = ".tail"
	framesSuffix = ".frames"
	// smallTail is the size up to which a finished log's tail stays as it is: most logs are that small, and end
	// with one write.
	smallTail = 64 << 10
)

var newline = []byte{'\n'}

// Log is what one attempt of a step prints. It may be used by many goroutines.
type Log struct {
	store *Store
	path  string
	name  Name

	appending sync.Mutex // held by the one who writes, also while the disk does
	most      int64      // bytes that it may have; 0: any number
	frames    *os.File
	framesEnd int64
	tail      *os.File
	tailEnd   int64

	mu       sync.RWMutex // what readers see: only what is durable
	index    []frame
	last     segment // the tail's content
	finished bool
	broken   error
	changed  chan struct{}
}

// Limit bounds the log from now on, in bytes; 0 is no bound.
func (l *Log) Limit(most int64) {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.most = most
}

// Append writes p at offset, and returns when it is durable. at is the time in which p was printed. Bytes that the
// log holds already are passed by, so that an append may be repeated; if they differ, the error is an ErrConflict.
// An offset beyond the end is a GapError, and of what goes beyond the log's limit nothing is taken: an ErrTooLong. end is the log's size then.
func (l *Log) Append(offset int64, p []byte, at time.Time) (end int64, err error) {
	l.appending.Lock()
	defer l.appending.Unlock()
	fresh, err := l.beyond(offset, p)
	if err != nil || len(fresh) == 0 {
		return l.Size(), err
	}
	if l.most > 0 && l.Size()+int64(len(fresh)) > l.most {
		return l.Size(), fmt.Errorf("append to log %s: %w", l.name, ErrTooLong)
	}
	if err := l.write(fresh, at.UnixMilli()); err != nil {
		return l.Size(), fmt.Errorf("append to log %s: %w", l.name, err)
	}
	return l.Size(), nil
}

// Finish seals the log at its size, which must be end. Doing it twice is no error.
func (l *Log) Finish(end int64) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	switch size := l.Size(); {
	case end > size:
		return fmt.Errorf("finish log %s: %w", l.name, &GapError{Expected: size})
	case end < size:
		return fmt.Errorf("finish log %s at %d of %d: %w", l.name, end, size, ErrConflict)
	case l.IsFinished():
		return nil
	}
	if err := l.seal(end); err != nil {
		return fmt.Errorf("finish log %s: %w", l.name, err)
	}
	return nil
}

// Size returns the durable bytes.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last.offset + int64(len(l.last.raw))
}

// Lines returns the number of lines, counting a last one that has no newline yet.
func (l *Log) Lines() int64 {
	v := l.view()
	if v.last.endsInside() {
		return v.last.lines() + 1
	}
	return v.last.lines()
}

// IsFinished says whether nothing more will come.
func (l *Log) IsFinished() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.finished
}

// Changed returns a channel that is closed when the log has grown, is finished, or is removed. To follow a log, ask
// for the channel first, then read, then wait.
func (l *Log) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.changed
}

// beyond returns the part of p that the log does not hold yet.
func (l *Log) beyond(offset int64, p []byte) ([]byte, error) {
	size := l.Size()
	switch {
	case l.isBroken():
		return nil, fmt.Errorf("append to log %s: %w", l.name, l.reason())
	case offset < 0 || offset > size:
		return nil, fmt.Errorf("append to log %s at %d: %w", l.name, offset, &GapError{Expected: size})
	}
	held := make([]byte, min(size-offset, int64(len(p))))
	if n, err := l.ReadAt(held, offset); n < len(held) {
		return nil, err
	}
	if !bytes.Equal(held, p[:len(held)]) && !l.isDamaged(offset, len(held)) {
		return nil, fmt.Errorf("append to log %s at %d: %w", l.name, offset, ErrConflict)
	}
	fresh := p[len(held):]
	if len(fresh) > 0 && l.IsFinished() {
		return nil, fmt.Errorf("append to log %s: %w", l.name, ErrFinished)
	}
	return fresh, nil
}

// publish changes what readers see, and wakes those who follow.
func (l *Log) publish(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) fail(err error) error {
	l.publish(func() { l.broken = err })
	return errors.Join(err, l.closeFiles())
}

func (l *Log) isBroken() bool { return l.reason() != nil }

func (l *Log) reason() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.broken
}

// abandon ends the use of a log that is being removed.
func (l *Log) abandon() {
	l.appending.Lock()
	defer l.appending.Unlock()
	_ = l.fail(ErrNotFound)
}

func (l *Log) close() error {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.publish(func() { l.broken = os.ErrClosed })
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	var all error
	for _, file := range []**os.File{&l.frames, &l.tail} {
		if *file != nil {
			all = errors.Join(all, (*file).Close())
			*file = nil
		}
	}
	return all
}
