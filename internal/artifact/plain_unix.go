//go:build unix

package artifact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
)

// plain is a file of a tree, to be read. It is no os.File: trees have many small files, and what one of those costs to be
// ready for more than reading is as much as the reading.
type plain struct {
	fd         int
	size       int64
	executable bool
}

// openPlain opens a file of the tree, and not what a link leads to that took its place meanwhile, nor anything to wait for.
func openPlain(dir, name string) (*plain, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	var p plain
	err := again(func() (err error) {
		p.fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if err := p.look(name); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &p, nil
}

func (p *plain) look(name string) error {
	var info syscall.Stat_t
	if err := again(func() error { return syscall.Fstat(p.fd, &info) }); err != nil {
		return &fs.PathError{Op: "look at", Path: name, Err: err}
	}
	if info.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fmt.Errorf("%q is no file any more: %w", name, ErrUnsafe)
	}
	p.size, p.executable = info.Size, info.Mode&0o111 != 0
	return nil
}

// skip leaves out the first bytes.
func (p *plain) skip(bytes int64) error {
	_, err := syscall.Seek(p.fd, bytes, io.SeekStart)
	return err
}

func (p *plain) Read(into []byte) (n int, err error) {
	if len(into) == 0 {
		return 0, nil
	}
	err = again(func() (err error) {
		n, err = syscall.Read(p.fd, into)
		return err
	})
	if err == nil && n == 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

func (p *plain) Close() error { return syscall.Close(p.fd) }

// again does a call until no signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
