package artifact

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
)

func (p *storedPack) open() (*os.File, error) {
	file, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open a pack: %w", err)
	}
	return file, nil
}

// frameStarts returns where the frames of a pack begin in its file.
func (p *storedPack) frameStarts(file *os.File) ([]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frames != nil {
		return p.frames, nil
	}
	at := p.table.headLength()
	var header [frameHeader]byte
	for left := p.table.bytes(); left > 0; left -= frameBytes {
		p.frames = append(p.frames, at)
		if _, err := file.ReadAt(header[:], at); err != nil {
			p.frames = nil
			return nil, torn("a frame", err)
		}
		at += frameHeader + int64(little.Uint32(header[4:]))
	}
	return p.frames, nil
}

// cursor reads the content of a stored pack, and keeps the frame decoded that it read last.
type cursor struct {
	store         *Store
	pack          *storedPack
	file          *os.File
	starts        []int64
	packed, plain []byte
	frame         []byte
	number        int64 // of that frame; -1 before the first
}

func (s *Store) openPack(p *storedPack) (*cursor, error) {
	file, err := p.open()
	if err != nil {
		return nil, err
	}
	starts, err := p.frameStarts(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &cursor{
		store: s, pack: p, file: file, starts: starts, number: -1,
		packed: make([]byte, frameBytes), plain: make([]byte, frameBytes),
	}, nil
}

// at returns the content from offset to the end of its frame. It is valid until the next call.
func (c *cursor) at(offset int64) ([]byte, error) {
	if number := offset / frameBytes; number != c.number {
		c.number = -1
		want := min(frameBytes, c.pack.table.bytes()-number*frameBytes)
		section := io.NewSectionReader(c.file, c.starts[number], frameHeader+frameBytes)
		frame, err := decodeFrame(c.store.decoder, section, int(want), c.packed, c.plain)
		if err != nil {
			return nil, err
		}
		c.frame, c.number = frame, number
	}
	return c.frame[offset%frameBytes:], nil
}

func (c *cursor) close() { _ = c.file.Close() }

// blobReader reads one blob, and says at its end whether it is the right one.
type blobReader struct {
	*cursor
	digest Digest
	offset int64
	left   int64
	sum    hash.Hash
}

// Open returns the content of a blob. Its last Read returns an ErrMismatch when the content does not have the
// digest.
func (s *Store) Open(d Digest) (io.ReadCloser, error) {
	at, err := s.find(d)
	if err != nil {
		return nil, err
	}
	c, err := s.openPack(at.pack)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", d, err)
	}
	return &blobReader{c, d, at.offset, at.size, sha256.New()}, nil
}

func (r *blobReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, cmp.Or(checkSum(r.sum, r.digest), io.EOF)
	}
	content, err := r.at(r.offset)
	if err != nil {
		return 0, fmt.Errorf("read blob %s: %w", r.digest, err)
	}
	n := copy(p, content[:min(int64(len(content)), r.left)])
	r.sum.Write(p[:n])
	r.offset += int64(n)
	r.left -= int64(n)
	return n, nil
}

func (r *blobReader) Close() error {
	r.close()
	return nil
}
