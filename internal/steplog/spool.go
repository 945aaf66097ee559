package steplog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"time"
)

const (
	spoolOutput = "output"       // the bytes
	spoolTimes  = "times"        // marks of 16 bytes
	spoolAcked  = "acknowledged" // one offset
	// markEvery is how finely a spool remembers when its bytes came.
	markEvery = 100 * time.Millisecond
	// chunkSpan is how far apart in time the bytes of one chunk may be.
	chunkSpan = time.Second
	markSize  = 16
)

// mark says when the bytes from an offset on came.
type mark struct {
	offset int64
	at     int64 // Unix milliseconds
}

// Chunk is a piece of a spool that the server does not have yet.
type Chunk struct {
	Offset int64
	Data   []byte
	At     time.Time // when its first byte came
}

// Spool keeps a step's output on the worker until the server has it, in a folder of its own. Writing never waits
// for the network, nor for the disk's durability: it survives the worker, and a machine that fails takes the step
// with it. One goroutine writes, others read.
type Spool struct {
	dir    string
	now    func() time.Time
	output *os.File
	times  *os.File
	ack    *os.File

	mu      sync.Mutex
	size    int64
	last    []byte // the end of the log, which found no room on the disk
	acked   int64
	closed  bool
	marks   []mark
	changed chan struct{}
}

// OpenSpool opens the spool in a folder, which is made if it is missing. What a former worker wrote is there
// again.
func OpenSpool(dir string, now func() time.Time) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a spool: %w", err)
	}
	s := &Spool{dir: dir, now: now, changed: make(chan struct{})}
	for name, file := range map[string]**os.File{spoolOutput: &s.output, spoolTimes: &s.times, spoolAcked: &s.ack} {
		opened, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open a spool: %w", err), s.closeFiles())
		}
		*file = opened
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open a spool: %w", err), s.closeFiles())
	}
	return s, nil
}

func (s *Spool) load() error {
	size, err := s.output.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	times, err := io.ReadAll(s.times)
	if err != nil {
		return err
	}
	var acked [8]byte
	if _, err := s.ack.ReadAt(acked[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.size = size
	s.acked = min(int64(little.Uint64(acked[:])), size)
	for ; len(times) >= markSize; times = times[markSize:] {
		s.marks = append(s.marks, mark{int64(little.Uint64(times)), int64(little.Uint64(times[8:]))})
	}
	return nil
}

// Write takes the step's output.
func (s *Spool) Write(p []byte) (int, error) {
	if err := s.mark(); err != nil {
		return 0, fmt.Errorf("spool %d bytes: %w", len(p), err)
	}
	n, err := s.output.WriteAt(p, s.Size())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += int64(n)
	s.wake()
	if err != nil {
		return n, fmt.Errorf("spool %d bytes: %w", len(p), err)
	}
	return n, nil
}

// WriteLast takes what is said at a log's end. Where it finds no room on the disk it is kept in memory, until the server
// has it or the worker dies. Nothing may be written to the disk afterwards.
func (s *Spool) WriteLast(p []byte) {
	written := 0
	if len(s.last) == 0 {
		written, _ = s.Write(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = append(s.last, p[written:]...)
	s.size += int64(len(p) - written)
	s.wake()
}

// mark notes the time, unless that was done a moment ago.
func (s *Spool) mark() error {
	at := s.now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.marks); n > 0 && at-s.marks[n-1].at < markEvery.Milliseconds() {
		return nil
	}
	m := mark{s.size, at}
	encoded := little.AppendUint64(little.AppendUint64(nil, uint64(m.offset)), uint64(m.at))
	if _, err := s.times.WriteAt(encoded, int64(len(s.marks))*markSize); err != nil {
		return err
	}
	s.marks = append(s.marks, m)
	return nil
}

// End says that the step prints nothing more. Reading and acknowledging go on.
func (s *Spool) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
}

// Next returns up to limit bytes from offset on, as many as came within about a second; none when there are no
// more yet. A Chunk without data whose more is false is the end. The data stands in buffer, where that is large enough.
func (s *Spool) Next(offset int64, limit int, buffer []byte) (c Chunk, more bool, err error) {
	s.mu.Lock()
	c = Chunk{Offset: offset}
	end := min(s.size, offset+int64(limit))
	more = !s.closed || offset < s.size
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].offset > offset })
	if i > 0 {
		c.At = time.UnixMilli(s.marks[i-1].at)
		for ; i < len(s.marks) && s.marks[i].offset < end; i++ {
			if s.marks[i].at-c.At.UnixMilli() > chunkSpan.Milliseconds() {
				end = s.marks[i].offset
			}
		}
	}
	onDisk, last := s.size-int64(len(s.last)), s.last
	s.mu.Unlock()
	if end <= offset {
		return c, more, nil
	}
	c.Data = slices.Grow(buffer[:0], int(end-offset))[:max(0, min(end, onDisk)-offset)]
	if _, err := s.output.ReadAt(c.Data, offset); err != nil {
		return Chunk{}, true, fmt.Errorf("read a spool at %d: %w", offset, err)
	}
	if end > onDisk {
		c.Data = append(c.Data, last[max(0, offset-onDisk):end-onDisk]...)
	}
	return c, more, nil
}

// Size returns the bytes written.
func (s *Spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Acknowledged returns the offset up to which the server has everything. After a crash it may be a little behind
// what was acknowledged; sending something twice does no harm.
func (s *Spool) Acknowledged() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked
}

// Acknowledge notes that the server has everything up to offset.
func (s *Spool) Acknowledge(offset int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if offset < s.acked || offset > s.size {
		return fmt.Errorf("acknowledge a spool of %d bytes at %d: %w", s.size, offset, ErrConflict)
	}
	s.acked = offset
	if _, err := s.ack.WriteAt(little.AppendUint64(nil, uint64(offset)), 0); err != nil {
		return fmt.Errorf("acknowledge a spool: %w", err)
	}
	return nil
}

// Changed returns a channel that is closed when more was written, or the end was reached. Ask for it first, then
// for the next chunk, then wait.
func (s *Spool) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Spool) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Reset makes the spool a new and empty one. Nobody may be using it.
func (s *Spool) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range []*os.File{s.output, s.times, s.ack} {
		if err := file.Truncate(0); err != nil {
			return fmt.Errorf("empty a spool: %w", err)
		}
	}
	s.size, s.last, s.acked, s.closed, s.marks = 0, nil, 0, false, nil
	s.wake()
	return nil
}

// Close closes the files, for another process to go on.
func (s *Spool) Close() error { return s.closeFiles() }

// Remove deletes the spool: the server has it all.
func (s *Spool) Remove() error {
	err := s.closeFiles()
	if removed := os.RemoveAll(s.dir); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err != nil {
		return fmt.Errorf("remove a spool: %w", err)
	}
	return nil
}

func (s *Spool) closeFiles() error {
	var all error
	for _, file := range []*os.File{s.output, s.times, s.ack} {
		if file != nil {
			all = errors.Join(all, file.Close())
		}
	}
	return all
}
