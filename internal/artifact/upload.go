package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// OffsetError says that an upload was continued at another place than where it stands.
type OffsetError struct{ Expected int64 }

func (e *OffsetError) Error() string {
	return fmt.Sprintf("the upload does not stand there: expected offset %d", e.Expected)
}

// Upload is a pack that comes in pieces, and goes on after a broken connection or a restart on either side. Where it stands
// is the size of its file, whatever the sender thinks. Whoever goes on with it takes it over from one before, whose
// connection may be broken without a word. One that nobody goes on with for Options.Grace is swept.
type Upload struct {
	store *Store
	pack  Digest
	path  string
	users int // guarded by the store

	mu        sync.Mutex
	turn      int // how often somebody went on with it
	arriving  *arriving
	finishing *finishing
}

// flushBytes is how many bytes come before they are sent on to the disk.
const flushBytes = 8 << 20

// silence is how long nothing has to come for an upload to stand still.
const silence = 250 * time.Millisecond

// Upload returns the upload of a pack (Packing.Digest) by a sender. Close it.
func (s *Store) Upload(sender string, pack Digest) *Upload {
	named := DigestOf([]byte(sender + "\n" + pack.hex()))
	path := filepath.Join(s.incomingDir(), "upload-"+named.hex()+partSuffix)
	s.mu.Lock()
	defer s.mu.Unlock()
	u, found := s.uploads[path]
	if !found {
		u = &Upload{store: s, pack: pack, path: path}
		s.uploads[path] = u
	}
	u.users++
	return u
}

// Close ends one use of the upload. What has come stays.
func (u *Upload) Close() {
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if u.users--; u.users == 0 {
		delete(u.store.uploads, u.path)
	}
}

// Standing says how much has come, and whether the pack is stored already, also by another sender.
func (u *Upload) Standing() (size int64, stored bool, err error) {
	if u.store.touch(u.store.packPath(u.pack)) {
		return 0, true, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	size, err = u.size()
	return size, false, err
}

func (u *Upload) size() (int64, error) {
	info, err := os.Stat(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at an upload: %w", err)
	}
	return info.Size(), nil
}

// Settle waits while bytes are coming: those of a connection that was cut may not all have been read when its sender asks
// where to go on.
func (u *Upload) Settle(ctx context.Context) {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for before := int64(-1); ; timer.Reset(silence) {
		now, ended := u.coming()
		if ended == nil || now == before {
			return
		}
		before = now
		select {
		case <-ended:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// coming says how far the one is who adds to the upload, and what is closed when that is over; nil where there is none.
func (u *Upload) coming() (at int64, ended <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.arriving == nil {
		return 0, nil
	}
	return u.arriving.at, u.arriving.ended
}

// Append adds r at offset. What came stays there, also when r breaks off. At another offset than where the upload stands
// the error is an OffsetError, and nothing is taken.
func (u *Upload) Append(offset int64, r io.Reader) error {
	a, err := u.goOn(offset)
	if err == nil {
		defer a.end()
		_, err = io.CopyBuffer(a, struct{ io.Reader }{r}, make([]byte, 128<<10))
		err = errors.Join(err, a.file.Close())
	}
	if errors.Is(err, ErrTooLarge) {
		err = errors.Join(err, u.remove())
	}
	if err != nil {
		return fmt.Errorf("append to an upload: %w", err)
	}
	return nil
}

// Finish adds the rest, which begins at offset, and stores the pack as PutPack does. Of a pack that is not good nothing is
// left, and its upload begins anew; where the rest breaks off, the upload goes on there. Once all has come, the pack is
// stored also when ctx ends: whoever asks again waits for the same end.
func (u *Upload) Finish(ctx context.Context, offset int64, rest io.Reader) error {
	if f := u.underWay(); f != nil {
		return f.wait(ctx)
	}
	a, err := u.goOn(offset)
	if err != nil {
		return fmt.Errorf("finish an upload: %w", err)
	}
	defer a.end()
	f := &finishing{arriving: a, from: io.TeeReader(rest, a)}
	if err := f.run(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("finish an upload: %w", err)
	}
	return nil
}

// underWay returns what stores the pack already, all of which has come.
func (u *Upload) underWay() *finishing {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.finishing
}

// remove has the upload begin anew.
func (u *Upload) remove() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn++
	if err := os.Remove(u.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// arriving is one who adds to an upload.
type arriving struct {
	*Upload
	file  *os.File
	mine  int // turn
	at    int64
	ended chan struct{}

	flushed int64 // up to there it is on its way to the disk
}

func (u *Upload) goOn(offset int64) (*arriving, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	size, err := u.size()
	if err == nil && offset != size {
		err = &OffsetError{Expected: size}
	}
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(u.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	u.turn++
	u.arriving = &arriving{Upload: u, file: file, mine: u.turn, at: offset, flushed: offset, ended: make(chan struct{})}
	return u.arriving, nil
}

func (a *arriving) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arriving == a {
		a.arriving = nil
	}
	close(a.ended)
}

// isTaken returns an OffsetError once somebody else went on with the upload.
func (a *arriving) isTaken() error {
	if a.mine == a.turn {
		return nil
	}
	size, err := a.size()
	return errors.Join(err, &OffsetError{Expected: size})
}

// Write adds bytes, unless somebody else went on with the upload.
func (a *arriving) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.isTaken(); err != nil {
		return 0, err
	}
	if a.at+int64(len(p)) > a.store.options.MaxPackBytes {
		return 0, errPackTooLarge
	}
	n, err := a.file.WriteAt(p, a.at)
	a.at += int64(n)
	if a.at-a.flushed >= flushBytes {
		beginFlush(a.file, a.flushed, a.at-a.flushed)
		a.flushed = a.at
	}
	return n, err
}

// finishing is the end of an upload: its pack is checked while the rest comes.
type finishing struct {
	*arriving
	from   io.Reader
	broken error // why the rest did not come
	err    error
}

// Read hands on the rest. Once all has come, nobody else goes on with the upload.
func (f *finishing) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		if f.broken = f.seal(); f.broken == nil {
			return n, io.EOF
		}
		return n, f.broken
	}
	f.broken = err
	return n, err
}

func (f *finishing) seal() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.isTaken(); err != nil {
		return err
	}
	f.finishing = f
	return nil
}

func (f *finishing) wait(ctx context.Context) error {
	select {
	case <-f.ended:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("wait for an upload's end: %w", context.Cause(ctx))
	}
}

func (f *finishing) run(ctx context.Context) error {
	before := io.NewSectionReader(f.file, 0, f.at)
	err := f.store.commit(ctx, f.file, io.MultiReader(before, f), &f.pack)
	isBad := f.broken == nil && errors.Is(err, ErrMalformed) || errors.Is(err, ErrMismatch) || errors.Is(err, ErrTooLarge)
	switch {
	case f.broken != nil && !isBad:
		err = f.broken
	case err == nil || isBad:
		err = errors.Join(err, f.remove())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finishing == f {
		f.finishing = nil
	}
	f.err = err
	return err
}
