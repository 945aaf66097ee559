package artifact

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Packing is a pack that is made while it is sent, from any offset on. It remembers where the frames end that it made once:
// what lies before an offset is neither read nor compressed again.
type Packing struct {
	table table
	head  []byte
	ends  *frameEnds
	add   func(p *packWriter, blob int, from int64) error
}

// frameEnds is where the frames of a pack end, as far as they were made.
type frameEnds struct {
	mu sync.Mutex
	at []int64
}

func newPacking(t table, ends *frameEnds, add func(p *packWriter, blob int, from int64) error) (*Packing, error) {
	if len(t) > maxPackBlobs {
		return nil, fmt.Errorf("%d blobs in one pack: %w", len(t), ErrTooLarge)
	}
	return &Packing{table: t, head: t.encode(), ends: ends, add: add}, nil
}

// NewPacking returns the pack of the blobs with these digests, from the tree in dir that the manifest lists. A file that
// was cut short since it was scanned is an ErrMismatch when it is sent; one that was changed otherwise is found by whoever
// takes the pack, as every reader of packs hashes what comes.
func NewPacking(dir string, m Manifest, digests []Digest) (*Packing, error) {
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
			return nil, fmt.Errorf("pack %s: no file of the tree: %w", d, ErrNotFound)
		}
		t = append(t, Blob{d, e.Size})
	}
	return newPacking(t, &frameEnds{}, func(p *packWriter, blob int, from int64) error {
		if err := p.addFile(dir, files[t[blob].Digest], from); err != nil {
			return fmt.Errorf("pack %s: %w", dir, err)
		}
		return nil
	})
}

// WritePack writes the pack that NewPacking returns.
func WritePack(ctx context.Context, w io.Writer, dir string, m Manifest, digests []Digest) error {
	p, err := NewPacking(dir, m, digests)
	if err != nil {
		return err
	}
	return p.WriteFrom(ctx, w, 0)
}

// Digest names the pack by the blobs in it, whatever they are compressed to.
func (p *Packing) Digest() Digest { return DigestOf(p.head) }

// Length returns how many bytes the pack has, once each frame was made.
func (p *Packing) Length() (length int64, known bool) {
	frames := int((p.table.bytes() + frameBytes - 1) / frameBytes)
	if frames == 0 {
		return int64(len(p.head)), true
	}
	p.ends.mu.Lock()
	defer p.ends.mu.Unlock()
	if len(p.ends.at) < frames {
		return 0, false
	}
	return p.ends.at[frames-1], true
}

// WriteFrom writes the pack from an offset on, which may lie behind its end: then it writes nothing.
func (p *Packing) WriteFrom(ctx context.Context, w io.Writer, offset int64) error {
	frames, err := newFrameWriter(w, offset, p.ends)
	if err != nil {
		return err
	}
	frames.frame, frames.at = p.ends.around(offset)
	if frames.frame == 0 {
		if err := frames.emit(p.head); err != nil {
			return err
		}
	}
	before := int64(frames.frame) * frameBytes // bytes of the blobs that are left out
	writer := newPackWriter(frames)
	err = p.addAll(ctx, writer, before)
	return cmp.Or(writer.end(err == nil), err)
}

// addAll adds the blobs, without so many bytes at their beginning.
func (p *Packing) addAll(ctx context.Context, writer *packWriter, before int64) error {
	for n, b := range p.table {
		if before >= b.Size {
			before -= b.Size
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("write a pack: %w", err)
		}
		if err := p.add(writer, n, before); err != nil {
			return err
		}
		before = 0
	}
	return nil
}

// around returns the frame that an offset lies in, as far as that is known, and where it begins; before the end of the
// first that is the beginning of the pack.
func (f *frameEnds) around(offset int64) (frame int, begin int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frame, found := slices.BinarySearch(f.at, offset)
	if found {
		frame++
	}
	if frame == 0 {
		return 0, 0
	}
	return frame, f.at[frame-1]
}

// note takes down where a frame ends.
func (f *frameEnds) note(frame int, end int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case frame == len(f.at):
		f.at = append(f.at, end)
	case f.at[frame] != end:
		return fmt.Errorf("a file was changed while it was sent: %w", ErrMismatch)
	}
	return nil
}
