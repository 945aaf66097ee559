package artifact

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
)

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
	file, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open a pack: %w", err)
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

// Pack writes the blobs with these digests as a stream of packs, in the order in which they are stored. A stored
// pack that is wanted whole goes out as it is.
func (s *Store) Pack(ctx context.Context, w io.Writer, digests []Digest) error {
	groups, err := s.group(digests)
	if err != nil {
		return fmt.Errorf("send blobs: %w", err)
	}
	for _, g := range groups {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("send blobs: %w", err)
		}
		if err := s.sendGroup(w, g); err != nil {
			return fmt.Errorf("send blobs: %w", err)
		}
	}
	return nil
}

// group is what is wanted of one pack, in its order.
type group struct {
	pack  *storedPack
	blobs []placed
}

type placed struct {
	Blob
	offset int64
}

func (s *Store) group(digests []Digest) ([]*group, error) {
	byPack := make(map[*storedPack]*group)
	seen := make(map[Digest]bool, len(digests))
	var groups []*group
	for _, d := range digests {
		at, err := s.find(d)
		if err != nil {
			return nil, err
		}
		if seen[d] {
			continue
		}
		seen[d] = true
		g := byPack[at.pack]
		if g == nil {
			g = &group{pack: at.pack}
			byPack[at.pack] = g
			groups = append(groups, g)
		}
		g.blobs = append(g.blobs, placed{Blob{d, at.size}, at.offset})
	}
	for _, g := range groups {
		slices.SortStableFunc(g.blobs, func(a, b placed) int { return cmp.Compare(a.offset, b.offset) })
	}
	return groups, nil
}

func (s *Store) sendGroup(w io.Writer, g *group) error {
	c, err := s.openPack(g.pack)
	if err != nil {
		return err
	}
	defer c.close()
	if len(g.blobs) == len(g.pack.table) {
		_, err := io.Copy(w, c.file)
		return err
	}
	var t table
	for _, b := range g.blobs {
		t = append(t, b.Blob)
	}
	p, err := newPackWriter(w, t)
	if err != nil {
		return err
	}
	for _, b := range g.blobs {
		if err := c.copyTo(p, b); err != nil {
			return err
		}
	}
	return p.flush()
}

func (c *cursor) copyTo(p *packWriter, b placed) error {
	for done := int64(0); done < b.Size; {
		content, err := c.at(b.offset + done)
		if err != nil {
			return err
		}
		n := min(int64(len(content)), b.Size-done)
		if err := p.add(content[:n]); err != nil {
			return err
		}
		done += n
	}
	return nil
}
