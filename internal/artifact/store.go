package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

const (
	packSuffix     = ".pack"
	manifestSuffix = ".manifest"
	partSuffix     = ".part"
)

// Options set up a Store. The zero value is usable.
type Options struct {
	// MaxPackBytes bounds one incoming pack, as it travels; 0 means what a tree within Limits needs, or 64 GiB.
	MaxPackBytes int64
	// Limits bound the trees whose manifests are taken.
	Limits Limits
	// Grace is how long something is kept though nothing refers to it yet; 0 means an hour. It must be longer than
	// the longest upload of a tree.
	Grace time.Duration
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Log is told of packs that cannot be read.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MaxPackBytes == 0 && o.Limits.Bytes > 0 {
		o.MaxPackBytes = o.Limits.Bytes + packRoom(o.Limits.Bytes)
	}
	if o.MaxPackBytes == 0 {
		o.MaxPackBytes = 64 << 30
	}
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store holds blobs, in packs, and manifests in a folder. One process at a time may use it, by many goroutines.
type Store struct {
	dir     string
	options Options
	decoder *zstd.Decoder

	sweeping sync.RWMutex // locked while something is deleted
	held     sync.RWMutex // read-locked while nothing may be deleted
	placing  sync.Mutex   // locked while a pack gets its place

	mu      sync.Mutex
	packs   map[string]*storedPack
	blobs   map[Digest]location
	uploads map[string]*Upload // in use, by their files
	made    []madePack         // those used last behind the others
	sizes   map[Digest]Size    // of trees
}

// storedPack is a pack that was checked and is durable.
type storedPack struct {
	path  string
	table table
	size  int64     // on disk
	used  time.Time // when it came, or somebody was told last that its blobs are here

	mu     sync.Mutex
	frames []int64 // where each begins; found out at the first read
}

// location is where a blob begins in the content of a pack.
type location struct {
	pack   *storedPack
	offset int64
	size   int64
}

// OpenStore returns the store in a folder, which is made if it is missing.
func OpenStore(dir string, options Options) (*Store, error) {
	decoder, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	s := &Store{
		dir: dir, options: options.withDefaults(), decoder: decoder,
		packs: make(map[string]*storedPack), blobs: make(map[Digest]location), uploads: make(map[string]*Upload),
		sizes: make(map[Digest]Size),
	}
	for _, sub := range []string{s.packDir(), s.manifestDir(), s.incomingDir()} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return nil, fmt.Errorf("make the artifact store: %w", err)
		}
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open the artifact store: %w", err)
	}
	return s, nil
}

// Limits are what trees are bound by.
func (s *Store) Limits() Limits { return s.options.Limits }

// Close releases memory. What was acknowledged is safe without it.
func (s *Store) Close() { s.decoder.Close() }

func (s *Store) packDir() string     { return filepath.Join(s.dir, "packs") }
func (s *Store) manifestDir() string { return filepath.Join(s.dir, "manifests") }
func (s *Store) incomingDir() string { return filepath.Join(s.dir, "incoming") }

func (s *Store) packPath(named Digest) string {
	return filepath.Join(s.packDir(), named.hex()+packSuffix)
}

func (s *Store) manifestPath(d Digest) string {
	return filepath.Join(s.manifestDir(), d.hex()+manifestSuffix)
}

func (s *Store) load() error {
	entries, err := os.ReadDir(s.packDir())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), packSuffix) {
			continue
		}
		p, err := loadPack(filepath.Join(s.packDir(), entry.Name()))
		if err != nil { // one bad disk block must not keep the server from starting
			s.options.Log.Error("left out a pack that cannot be read", "pack", entry.Name(), "error", err)
			continue
		}
		s.register(p)
	}
	return nil
}

func loadPack(path string) (*storedPack, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	t, err := readTable(file)
	return &storedPack{path: path, table: t, size: info.Size(), used: info.ModTime()}, err
}

// register makes a pack's blobs known. Of a blob in two packs, the later one counts.
func (s *Store) register(p *storedPack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packs[p.path] = p
	offset := int64(0)
	for _, b := range p.table {
		s.blobs[b.Digest] = location{p, offset, b.Size}
		offset += b.Size
	}
}

// Missing returns those of the digests whose blobs are not stored. The others are kept for the time of
// Options.Grace, for a manifest to refer to them.
func (s *Store) Missing(digests []Digest) []Digest {
	now := s.options.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []Digest
	for _, d := range digests {
		if at, found := s.blobs[d]; found {
			at.pack.used = now
		} else {
			missing = append(missing, d)
		}
	}
	return missing
}

func (s *Store) find(d Digest) (location, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.blobs[d]
	if !found {
		return location{}, fmt.Errorf("blob %s: %w", d, ErrNotFound)
	}
	return at, nil
}

// PutPack stores a pack, once each of its blobs was found to have its digest. It is durable when PutPack returns.
// The same pack again is no error.
func (s *Store) PutPack(ctx context.Context, r io.Reader) error {
	file, err := os.CreateTemp(s.incomingDir(), "*"+partSuffix)
	if err != nil {
		return fmt.Errorf("store a pack: %w", err)
	}
	defer os.Remove(file.Name())
	limited := &limitedReader{from: r, left: s.options.MaxPackBytes}
	if err := s.commit(ctx, file, io.TeeReader(limited, file), nil); err != nil {
		return fmt.Errorf("store a pack: %w", err)
	}
	return nil
}

// limitedReader fails, where io.LimitReader would end: a pack must not be cut without a word.
type limitedReader struct {
	from io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errPackTooLarge
	}
	return n, err
}

// commit checks the pack that stands in a file once content was read, which has to be the one that is wanted, if any;
// makes it durable and puts it in its place. It closes the file.
func (s *Store) commit(ctx context.Context, file *os.File, content io.Reader, wanted *Digest) error {
	t, err := checkPack(ctx, content)
	named := DigestOf(t.encode())
	if err == nil && wanted != nil && *wanted != named {
		err = fmt.Errorf("the pack %s came as %s: %w", named, *wanted, ErrMismatch)
	}
	if err == nil {
		err = file.Sync()
	}
	info, unknown := file.Stat()
	if err := errors.Join(err, unknown, file.Close()); err != nil {
		return err
	}
	path := s.packPath(named)
	s.placing.Lock()
	defer s.placing.Unlock()
	if s.touch(path) {
		return nil
	}
	place := failpoint.At("store a pack")
	place.Before()
	if err := errors.Join(os.Rename(file.Name(), path), durable.SyncFolder(s.packDir())); err != nil {
		return err
	}
	place.After()
	s.register(&storedPack{path: path, table: t, size: info.Size(), used: info.ModTime()})
	return nil
}

// touch says whether a pack is stored, and keeps it for the time of grace if so.
func (s *Store) touch(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, found := s.packs[path]
	if found {
		p.used = s.options.Now()
	}
	return found
}

// checkPack reads one whole pack and nothing behind it.
func checkPack(ctx context.Context, file io.Reader) (table, error) {
	packs, err := NewPackReader(file)
	if err != nil {
		return nil, err
	}
	defer packs.Close()
	t, err := packs.nextTable()
	if err != nil {
		return nil, fmt.Errorf("an empty pack: %w", errors.Join(ErrMalformed, err))
	}
	for range t {
		_, copyTo, err := packs.Next()
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return nil, err
		}
		if err := copyTo(io.Discard); err != nil {
			return nil, err
		}
	}
	if _, _, err := packs.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows a pack: %w", errors.Join(ErrMalformed, err))
	}
	return t, nil
}

// Usage is what a store holds.
type Usage struct {
	Packs int
	Blobs int
	Bytes int64 // of all packs on disk
}

// Usage returns what the store holds.
func (s *Store) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Packs: len(s.packs), Blobs: len(s.blobs)}
	for _, p := range s.packs {
		u.Bytes += p.size
	}
	return u
}
