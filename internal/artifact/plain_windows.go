package artifact

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// plain is a file of a tree, to be read.
type plain struct {
	*os.File
	size       int64
	executable bool // never: Windows has no such bit
}

// openPlain opens a file of the tree, and not what took its place meanwhile.
func openPlain(dir, name string) (*plain, error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is no file any more: %w", name, ErrUnsafe)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &plain{File: file, size: info.Size()}, nil
}

// skip leaves out the first bytes.
func (p *plain) skip(bytes int64) error {
	_, err := p.Seek(bytes, io.SeekStart)
	return err
}
