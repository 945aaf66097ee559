package artifact

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// packWriter writes frames as they are full, and leaves out what lies before an offset in the pack.
type packWriter struct {
	out     io.Writer
	from    int64 // offset of the first byte that is written
	at      int64 // offset of the next one that is made
	frame   int   // number of the next frame
	ends    *frameEnds
	encoder *zstd.Encoder
	plain   []byte
	packed  []byte
}

func newPackWriter(out io.Writer, from int64) (*packWriter, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(frameBytes), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	return &packWriter{out: out, from: from, encoder: encoder, plain: make([]byte, 0, frameBytes)}, nil
}

// emit writes what comes next in the pack, unless it lies before the offset.
func (p *packWriter) emit(content []byte) error {
	drop := min(max(0, p.from-p.at), int64(len(content)))
	p.at += int64(len(content))
	if drop == int64(len(content)) {
		return nil
	}
	if _, err := p.out.Write(content[drop:]); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	return nil
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
	if err := p.ends.note(p.frame, p.at+int64(len(p.packed))); err != nil {
		return err
	}
	p.frame++
	return p.emit(p.packed)
}

// addFile adds a file of the tree, from an offset on.
func (p *packWriter) addFile(dir string, e Entry, from int64) error {
	file, err := openPlain(dir, e.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	n, err := p.ReadFrom(io.LimitReader(file, e.Size-from))
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if from+n != e.Size {
		return fmt.Errorf("%s was cut to %d bytes: %w", e.Path, from+n, ErrMismatch)
	}
	return nil
}
