package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// packWriter writes one pack: the table at once, then frames as they are full.
type packWriter struct {
	out     io.Writer
	encoder *zstd.Encoder
	plain   []byte
	packed  []byte
}

func newPackWriter(out io.Writer, t table) (*packWriter, error) {
	if len(t) > maxPackBlobs {
		return nil, fmt.Errorf("%d blobs in one pack: %w", len(t), ErrTooLarge)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(frameBytes), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	if _, err := out.Write(t.encode()); err != nil {
		return nil, fmt.Errorf("write a pack: %w", err)
	}
	return &packWriter{out: out, encoder: encoder, plain: make([]byte, 0, frameBytes)}, nil
}

// ReadFrom adds the content of r.
func (p *packWriter) ReadFrom(r io.Reader) (int64, error) {
	var sum int64
	for {
		if len(p.plain) == frameBytes {
			if err := p.flush(); err != nil {
				return sum, err
			}
		}
		n, err := r.Read(p.plain[len(p.plain):frameBytes])
		p.plain = p.plain[:len(p.plain)+n]
		sum += int64(n)
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

// add adds content that is in memory.
func (p *packWriter) add(content []byte) error {
	for len(content) > 0 {
		if len(p.plain) == frameBytes {
			if err := p.flush(); err != nil {
				return err
			}
		}
		n := min(len(content), frameBytes-len(p.plain))
		p.plain = append(p.plain, content[:n]...)
		content = content[n:]
	}
	return nil
}

func (p *packWriter) flush() error {
	if len(p.plain) == 0 {
		return nil
	}
	p.packed = p.encoder.EncodeAll(p.plain, append(p.packed[:0], make([]byte, frameHeader)...))
	length := uint32(len(p.plain))
	if len(p.packed)-frameHeader >= len(p.plain) {
		length |= plainBit
		p.packed = append(p.packed[:frameHeader], p.plain...)
	}
	little.PutUint32(p.packed, length)
	little.PutUint32(p.packed[4:], uint32(len(p.packed)-frameHeader))
	p.plain = p.plain[:0]
	if _, err := p.out.Write(p.packed); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	return nil
}

// WritePack writes the blobs with these digests as a pack, from the tree in dir that the manifest lists. A file
// that was cut short since it was scanned is an ErrMismatch; one that was changed otherwise is found by whoever
// takes the pack, as every reader of packs hashes what comes.
func WritePack(ctx context.Context, w io.Writer, dir string, m Manifest, digests []Digest) error {
	files := make(map[Digest]Entry, len(m))
	for _, e := range m {
		if e.IsFile() {
			files[e.Digest] = e
		}
	}
	var t table
	for _, d := range digests {
		e, found := files[d]
		if !found {
			return fmt.Errorf("pack %s: no file of the tree: %w", d, ErrNotFound)
		}
		t = append(t, Blob{d, e.Size})
	}
	p, err := newPackWriter(w, t)
	if err != nil {
		return err
	}
	for _, d := range digests {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("pack %s: %w", dir, err)
		}
		if err := p.addFile(dir, files[d]); err != nil {
			return fmt.Errorf("pack %s: %w", dir, err)
		}
	}
	return p.flush()
}

func (p *packWriter) addFile(dir string, e Entry) error {
	file, err := openPlain(dir, e.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := p.ReadFrom(io.LimitReader(file, e.Size))
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if n != e.Size {
		return fmt.Errorf("%s was cut to %d bytes: %w", e.Path, n, ErrMismatch)
	}
	return nil
}
