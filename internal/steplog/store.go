// Package steplog keeps what steps print. On the server a Store holds one Log an attempt of a step: appended at an
// offset, durable before it is acknowledged, compressed, and readable from any line. On the worker a Spool takes a
// step's output at once and keeps it until the server has it.
package steplog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// keptLogs is how many logs a store remembers the index of, once they are finished.
const keptLogs = 256

// What can be wrong.
var (
	// ErrNotFound: there is no such log, or it was removed.
	ErrNotFound = errors.New("log not found")
	// ErrConflict: other bytes stand at that offset.
	ErrConflict = errors.New("the log holds other bytes there")
	// ErrSearch: there is nothing to look for, or more than can be.
	ErrSearch = errors.New("the text to look for has to have 1 to 2048 bytes")
	// ErrTooLong: the log may not have as much.
	ErrTooLong = errors.New("the log holds as much as it may")
	// ErrFinished: the log is sealed, and takes nothing more.
	ErrFinished = errors.New("the log is finished")
)

// GapError says that bytes before the given offset are missing, and from where on they are wanted.
type GapError struct{ Expected int64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("bytes before that are missing: expected offset %d", e.Expected)
}

// Name says whose log it is.
type Name struct {
	Run     string
	Step    string
	Attempt int
}

// String is the name as people read it.
func (n Name) String() string { return fmt.Sprintf("%s/%s#%d", n.Run, n.Step, n.Attempt) }

// path is unique also where file names ignore case, and safe whatever a step is called.
func (n Name) path() string {
	return filepath.Join("r-"+fileName(n.Run), "s-"+fileName(n.Step)+"."+strconv.Itoa(n.Attempt))
}

// longName is the length from which a name is cut, and made unique by its digest: file systems take 255 bytes.
const longName = 120

func fileName(name string) string {
	var out strings.Builder
	for _, b := range []byte(name) {
		if b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '_' {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02x", b)
		}
	}
	if out.Len() <= longName {
		return out.String()
	}
	return fmt.Sprintf("%s~%x", out.String()[:longName], sha256.Sum256([]byte(name)))
}

// Store holds the logs in a folder. One process at a time may use it.
type Store struct {
	dir     string
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	decoded frameCache
	buffers sync.Pool // of *[]byte, for what is about to be compressed or written

	mu   sync.Mutex
	logs map[string]*Log
}

// NewStore returns the store in a folder, which is made if it is missing.
func NewStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of logs: %w", err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(frameBytes), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxFrameBytes))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return &Store{dir: dir, encoder: encoder, decoder: decoder, logs: make(map[string]*Log)}, nil
}

// Close closes the files. What was acknowledged is safe without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for _, l := range s.logs {
		all = errors.Join(all, l.close())
	}
	clear(s.logs)
	s.decoder.Close()
	return all
}

// borrow answers an empty buffer that nobody else has.
func (s *Store) borrow() []byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

func (s *Store) giveBack(b []byte) { s.buffers.Put(&b) }

// Create returns the log of that name, a new and empty one if there is none. Nothing is written before the first
// append.
func (s *Store) Create(name Name) (*Log, error) { return s.log(name, true) }

// Open returns the log of that name, or an ErrNotFound.
func (s *Store) Open(name Name) (*Log, error) { return s.log(name, false) }

func (s *Store) log(name Name, create bool) (*Log, error) {
	path := filepath.Join(s.dir, name.path())
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, found := s.logs[path]; found && !l.isBroken() {
		return l, nil
	}
	l := &Log{store: s, path: path, name: name, changed: make(chan struct{})}
	exists, err := l.recover()
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", name, err)
	}
	if !exists && !create {
		return nil, fmt.Errorf("open log %s: %w", name, ErrNotFound)
	}
	s.forgetFinished()
	s.logs[path] = l
	return l, nil
}

// forgetFinished bounds the memory of a server that runs for months. Who holds a forgotten log may go on reading
// it: it does not change any more.
func (s *Store) forgetFinished() {
	for path, l := range s.logs {
		if len(s.logs) < keptLogs {
			return
		}
		if l.IsFinished() {
			delete(s.logs, path)
		}
	}
}

// Remove deletes a log. One that does not exist is no error.
func (s *Store) Remove(name Name) error {
	path := filepath.Join(s.dir, name.path())
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, found := s.logs[path]; found {
		delete(s.logs, path)
		l.abandon()
	}
	for _, suffix := range []string{tailSuffix, framesSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log %s: %w", name, err)
		}
	}
	s.decoded.forget(path)
	_ = os.Remove(filepath.Dir(path)) // the run's folder, when this was its last log
	return nil
}

// Usage returns the bytes on disk of all logs.
func (s *Store) Usage() (int64, error) {
	var sum int64
	err := filepath.WalkDir(s.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the logs: %w", err)
	}
	return sum, nil
}
