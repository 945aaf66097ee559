package steplog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
)

const (
	frameBytes      = 1 << 20  // from this size on, a tail becomes a frame
	maxFrameBytes   = 32 << 20 // what a frame and a stamp for each of its bytes may decompress to
	frameMagic      = 0x31467054
	frameHeaderSize = 48
	stampSize       = 12
	insideBit       = 1 << 31 // in the header, beside the number of stamps
)

var (
	errTorn    = errors.New("torn record")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	little     = binary.LittleEndian
)

// stamp says when a line, and those after it up to the next stamp, were begun.
type stamp struct {
	line int64 // counted from 0 at the log's beginning
	at   int64 // Unix milliseconds
}

// frame is a compressed piece of a log, and its place in the file.
type frame struct {
	offset      int64 // of its first byte in the log
	length      int64 // uncompressed
	linesBefore int64 // newlines in the log before it
	lines       int64 // newlines in it
	inside      bool  // whether it ends within a line
	stamps      int   // how many; the first is for the line that its first byte belongs to
	group       int64 // bytes of the frames before it that were written with it
	at          int64 // where its payload begins in the file
	packed      int64 // length of its payload
	sum         uint32
	lost        bool // nothing of it is left but its place
}

func (f frame) end() int64 { return f.offset + f.length }

// segment is an uncompressed piece of a log: a decoded frame, or the tail.
type segment struct {
	offset      int64
	linesBefore int64
	inside      bool // whether it begins within a line
	lost        bool // what it holds only says that it is damaged
	raw         []byte
	stamps      []stamp
}

// endsInside says whether it ends within a line.
func (g segment) endsInside() bool {
	if len(g.raw) == 0 {
		return g.inside
	}
	return g.raw[len(g.raw)-1] != '\n'
}

// lines counts the newlines up to its end.
func (g segment) lines() int64 { return g.linesBefore + int64(bytes.Count(g.raw, newline)) }

// next returns the empty segment behind it.
func (g segment) next() segment {
	return segment{offset: g.offset + int64(len(g.raw)), linesBefore: g.lines(), inside: g.endsInside()}
}

// encode adds a segment to records, as one: a header of 48 bytes, then the compressed payload. The frame's place is that
// in records.
func (s *Store) encode(records []byte, g segment) ([]byte, frame) {
	plain := s.borrow()
	for _, st := range g.stamps {
		plain = little.AppendUint32(plain, uint32(st.line-g.linesBefore))
		plain = little.AppendUint64(plain, uint64(st.at))
	}
	plain = append(plain, g.raw...)
	begin := len(records)
	records = append(records, make([]byte, frameHeaderSize)...)
	records = s.encoder.EncodeAll(plain, records)
	s.giveBack(plain)
	payload := records[begin+frameHeaderSize:]
	f := frame{
		offset: g.offset, length: int64(len(g.raw)), linesBefore: g.linesBefore,
		lines: g.lines() - g.linesBefore, stamps: len(g.stamps), inside: g.endsInside(),
		group: int64(begin), at: int64(begin + frameHeaderSize), packed: int64(len(payload)), sum: crc32.Checksum(payload, castagnoli),
	}
	f.putHeader(records[begin : begin+frameHeaderSize])
	return records, f
}

func (f frame) putHeader(h []byte) {
	stamps := uint32(f.stamps)
	if f.inside {
		stamps |= insideBit
	}
	little.PutUint32(h[0:], frameMagic)
	little.PutUint32(h[4:], stamps)
	little.PutUint64(h[8:], uint64(f.offset))
	little.PutUint32(h[16:], uint32(f.length))
	little.PutUint32(h[20:], uint32(f.packed))
	little.PutUint64(h[24:], uint64(f.linesBefore))
	little.PutUint32(h[32:], uint32(f.lines))
	little.PutUint32(h[36:], uint32(f.group))
	little.PutUint32(h[40:], f.sum)
	little.PutUint32(h[44:], crc32.Checksum(h[:44], castagnoli))
}

func parseHeader(h []byte) (frame, error) {
	if little.Uint32(h[0:]) != frameMagic || little.Uint32(h[44:]) != crc32.Checksum(h[:44], castagnoli) {
		return frame{}, errTorn
	}
	stamps := little.Uint32(h[4:])
	f := frame{
		stamps: int(stamps &^ insideBit), inside: stamps&insideBit != 0, offset: int64(little.Uint64(h[8:])), length: int64(little.Uint32(h[16:])),
		packed: int64(little.Uint32(h[20:])), linesBefore: int64(little.Uint64(h[24:])),
		lines: int64(little.Uint32(h[32:])), group: int64(little.Uint32(h[36:])), sum: little.Uint32(h[40:]),
	}
	if !f.isPlausible() {
		return frame{}, errTorn
	}
	return f, nil
}

// isPlausible bounds what is reserved for a frame on the word of its header.
func (f frame) isPlausible() bool {
	return f.length > 0 && f.length <= 2*frameBytes && f.lines <= f.length &&
		f.stamps > 0 && int64(f.stamps) <= f.lines+1 && f.offset >= 0 && f.linesBefore >= 0 && f.linesBefore <= f.offset
}

// decode reads a frame from the log's file. One that is damaged is answered as one that says so.
func (s *Store) decode(path string, f frame) (segment, error) {
	if g, found := s.decoded.get(path, f.at, f.offset); found {
		return g, nil
	}
	if f.lost {
		return f.damaged(), nil
	}
	g, err := s.load(path, f, nil)
	if err == nil {
		s.decoded.put(path, f.at, g)
	}
	return g, err
}

// load is decode without what was decoded before. The segment stands in buffer, where that is large enough.
func (s *Store) load(path string, f frame, buffer []byte) (segment, error) {
	if f.lost {
		return f.damaged(), nil
	}
	file, err := os.Open(path + framesSuffix)
	if err != nil {
		return segment{}, fmt.Errorf("open a log: %w", err)
	}
	defer file.Close()
	packed := slices.Grow(s.borrow(), int(f.packed))[:f.packed]
	defer s.giveBack(packed)
	n, err := file.ReadAt(packed, f.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return segment{}, fmt.Errorf("read a log at %d: %w", f.offset, err)
	}
	g, err := s.unpack(packed[:n], f, buffer)
	if err != nil {
		g = f.damaged()
	}
	return g, nil
}

func (s *Store) unpack(packed []byte, f frame, buffer []byte) (segment, error) {
	if crc32.Checksum(packed, castagnoli) != f.sum {
		return segment{}, errTorn
	}
	plain, err := s.decoder.DecodeAll(packed, slices.Grow(buffer[:0], int(f.length)+f.stamps*stampSize))
	if err != nil || int64(len(plain)) != f.length+int64(f.stamps)*stampSize {
		return segment{}, errors.Join(errTorn, err)
	}
	g := segment{offset: f.offset, linesBefore: f.linesBefore, stamps: make([]stamp, f.stamps)}
	for i := range g.stamps {
		g.stamps[i] = stamp{f.linesBefore + int64(little.Uint32(plain)), int64(little.Uint64(plain[4:]))}
		plain = plain[stampSize:]
	}
	g.raw = plain
	return g, nil
}

// frameCache keeps the frames decoded last, so that who reads a log in small pieces decodes each frame once.
type frameCache struct {
	mu   sync.Mutex
	kept [4]cachedFrame
	next int
}

type cachedFrame struct {
	path    string
	at      int64
	segment segment
}

func (c *frameCache) get(path string, at, offset int64) (segment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		if k.path == path && k.at == at && k.segment.offset == offset {
			return k.segment, true
		}
	}
	return segment{}, false
}

func (c *frameCache) put(path string, at int64, g segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[c.next] = cachedFrame{path, at, g}
	c.next = (c.next + 1) % len(c.kept)
}

// forget drops what was decoded of a log that is removed: another may take its name.
func (c *frameCache) forget(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.kept {
		if k.path == path {
			c.kept[i] = cachedFrame{}
		}
	}
}
