package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
)

// OffsetError says that an upload was continued at another place than where it stands.
type OffsetError struct{ Expected int64 }

func (e *OffsetError) Error() string {
	return fmt.Sprintf("the upload does not stand there: expected offset %d", e.Expected)
}

// Upload is a pack that comes in pieces, and goes on after a broken connection or a restart on either side.
type Upload struct {
	store *Store
	id    string
	path  string
	mu    sync.Mutex
}

var uploadID = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// Upload returns the upload with this id, which the sender chooses: 1 to 64 of a-z, 0-9 and dashes.
func (s *Store) Upload(id string) (*Upload, error) {
	if !uploadID.MatchString(id) {
		return nil, fmt.Errorf("upload id %q: %w", id, ErrUnsafe)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, found := s.uploads[id]; found {
		return u, nil
	}
	u := &Upload{store: s, id: id, path: filepath.Join(s.incomingDir(), "upload-"+id+partSuffix)}
	s.uploads[id] = u
	return u, nil
}

// Size returns how much has come.
func (u *Upload) Size() (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.size()
}

func (u *Upload) size() (int64, error) {
	info, err := os.Stat(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at upload %s: %w", u.id, err)
	}
	return info.Size(), nil
}

// Append adds r at offset, and returns how much has come, also when r broke off. What came before from offset on
// is replaced; an offset beyond is an OffsetError.
func (u *Upload) Append(offset int64, r io.Reader) (size int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	size, err = u.size()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > size {
		return size, fmt.Errorf("append to upload %s at %d: %w", u.id, offset, &OffsetError{Expected: size})
	}
	file, err := os.OpenFile(u.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return size, fmt.Errorf("append to upload %s: %w", u.id, err)
	}
	n, err := u.write(file, offset, r)
	if err := errors.Join(err, file.Close()); err != nil {
		return offset + n, fmt.Errorf("append to upload %s: %w", u.id, err)
	}
	return offset + n, nil
}

func (u *Upload) write(file *os.File, offset int64, r io.Reader) (int64, error) {
	if err := file.Truncate(offset); err != nil {
		return 0, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	room := u.store.options.MaxPackBytes - offset
	n, err := io.Copy(file, io.LimitReader(r, room+1))
	if n > room {
		return n, errors.Join(file.Truncate(offset), fmt.Errorf("more than %d bytes: %w", u.store.options.MaxPackBytes, ErrTooLarge))
	}
	return n, err
}

// Commit stores the pack that has come, as PutPack does. If it is not a good one, the upload begins anew.
func (u *Upload) Commit(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	file, err := os.OpenFile(u.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("commit upload %s: %w", u.id, err)
	}
	if err = u.store.commit(ctx, file, file); err != nil {
		err = fmt.Errorf("commit upload %s: %w", u.id, err)
	}
	if ctx.Err() != nil {
		return err // the upload is as it was
	}
	if removed := os.Remove(u.path); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}
