package artifact

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// PackReader reads a stream of packs blob by blob, and checks each. It reads some frames before they are asked for.
type PackReader struct {
	ahead  *ahead
	sum    hash.Hash
	table  table  // blobs of this pack that are still to come
	frame  []byte // what is left of the one that was taken last
	buffer []byte // that it is in
	err    error  // how the stream ended
}

// NewPackReader returns a reader of the packs in r. Close it.
func NewPackReader(r io.Reader) (*PackReader, error) {
	a, err := readAhead(r)
	if err != nil {
		return nil, err
	}
	return &PackReader{ahead: a, sum: sha256.New()}, nil
}

// Close releases memory. It waits for a Read of the source that is under way, and there is none afterwards.
func (p *PackReader) Close() { p.ahead.close() }

// Next returns the next blob and a writer-to of its content, or io.EOF behind the last. copyTo must be called
// before the next Next; it returns an ErrMismatch when the content has another digest, after it was written.
func (p *PackReader) Next() (b Blob, copyTo func(w io.Writer) error, err error) {
	for len(p.table) == 0 {
		if _, err := p.nextTable(); err != nil {
			return Blob{}, nil, err
		}
	}
	b = p.table[0]
	p.table = p.table[1:]
	return b, func(w io.Writer) error { return p.copy(b, w) }, nil
}

// nextTable begins the next pack.
func (p *PackReader) nextTable() (table, error) {
	next, err := p.next()
	p.table = next.table
	return next.table, err
}

func (p *PackReader) next() (piece, error) {
	if p.err != nil {
		return piece{}, p.err
	}
	next := <-p.ahead.found
	p.err = next.err
	return next, p.err
}

func (p *PackReader) copy(b Blob, w io.Writer) error {
	p.sum.Reset()
	for left := b.Size; left > 0; {
		if err := p.fill(); err != nil {
			return err
		}
		n := min(left, int64(len(p.frame)))
		if err := hashAndWrite(p.sum, w, p.frame[:n]); err != nil {
			return fmt.Errorf("write blob %s: %w", b.Digest, err)
		}
		p.frame = p.frame[n:]
		left -= n
	}
	return checkSum(p.sum, b.Digest)
}

// hashAndWrite does both at once where that pays.
func hashAndWrite(sum hash.Hash, w io.Writer, content []byte) error {
	if w == io.Discard || len(content) < frameBytes/4 {
		sum.Write(content)
		_, err := w.Write(content)
		return err
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		sum.Write(content)
	}()
	_, err := w.Write(content)
	<-hashed
	return err
}

func checkSum(sum hash.Hash, want Digest) error {
	if got := Digest(sum.Sum(nil)); got != want {
		return fmt.Errorf("blob %s has the digest %s: %w", want, got, ErrMismatch)
	}
	return nil
}

func (p *PackReader) fill() error {
	if len(p.frame) > 0 {
		return nil
	}
	p.ahead.giveBack(p.buffer)
	next, err := p.next()
	p.frame, p.buffer = next.frame, next.frame
	return err
}
