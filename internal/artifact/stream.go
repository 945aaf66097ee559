package artifact

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
)

// madeMost is how many packs that were put together for a stream are remembered, so that another one goes on in them.
const madeMost = 64

// Stream is blobs as a stream of packs, in the order in which they are stored, which can be had from any offset on.
type Stream struct {
	store  *Store
	groups []*group
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

// Stream returns the stream of the blobs with these digests.
func (s *Store) Stream(digests []Digest) (*Stream, error) {
	groups, err := s.group(digests)
	if err != nil {
		return nil, fmt.Errorf("send blobs: %w", err)
	}
	return &Stream{s, groups}, nil
}

// Pack writes the stream of the blobs with these digests.
func (s *Store) Pack(ctx context.Context, w io.Writer, digests []Digest) error {
	stream, err := s.Stream(digests)
	if err != nil {
		return err
	}
	return stream.WriteFrom(ctx, w, 0)
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

// isWhole says that a stored pack goes out as it is.
func (g *group) isWhole() bool { return len(g.blobs) == len(g.pack.table) }

func (g *group) table() table {
	t := make(table, len(g.blobs))
	for i, b := range g.blobs {
		t[i] = b.Blob
	}
	return t
}

// Identity names the stream: an offset in one means nothing in another. The same blobs have another one once they are
// stored otherwise.
func (s *Stream) Identity() Digest {
	sum := sha256.New()
	for _, g := range s.groups {
		sum.Write(g.table().encode())
		if g.isWhole() {
			fmt.Fprintln(sum, g.pack.size)
		}
	}
	return Digest(sum.Sum(nil))
}

// WriteFrom writes the stream from an offset on.
func (s *Stream) WriteFrom(ctx context.Context, w io.Writer, offset int64) error {
	for _, g := range s.groups {
		err := context.Cause(ctx)
		if err == nil {
			offset, err = s.writeGroup(ctx, w, g, offset)
		}
		if err != nil {
			return fmt.Errorf("send blobs: %w", err)
		}
	}
	return nil
}

// writeGroup returns what is left of the offset behind the group.
func (s *Stream) writeGroup(ctx context.Context, w io.Writer, g *group, offset int64) (int64, error) {
	if g.isWhole() {
		return g.pack.writeFrom(w, offset)
	}
	c, err := s.store.openPack(g.pack)
	if err != nil {
		return 0, err
	}
	defer c.close()
	t := g.table()
	made, err := newPacking(t, s.store.endsOf(t), func(p *packWriter, blob int, from int64) error {
		return c.copyTo(p, g.blobs[blob], from)
	})
	if err != nil {
		return 0, err
	}
	if err := made.WriteFrom(ctx, w, offset); err != nil {
		return 0, err
	}
	length, _ := made.Length()
	return max(0, offset-length), nil
}

// writeFrom writes the pack as it is.
func (p *storedPack) writeFrom(w io.Writer, offset int64) (int64, error) {
	if offset >= p.size {
		return offset - p.size, nil
	}
	file, err := p.open()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	_, err = io.Copy(w, file)
	return 0, err
}

// endsOf returns what is known of a pack that was put together before. Of those not used lately nothing is.
func (s *Store) endsOf(t table) *frameEnds {
	d := DigestOf(t.encode())
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.made, func(m madePack) bool { return m.digest == d })
	m := madePack{d, &frameEnds{}}
	if at >= 0 {
		m = s.made[at]
		s.made = slices.Delete(s.made, at, at+1)
	}
	s.made = append(s.made, m)
	if len(s.made) > madeMost {
		s.made = slices.Delete(s.made, 0, 1)
	}
	return m.ends
}

// madePack is a pack that is stored nowhere, but was put together for a stream.
type madePack struct {
	digest Digest
	ends   *frameEnds
}

func (c *cursor) copyTo(p *packWriter, b placed, from int64) error {
	for done := from; done < b.Size; {
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
