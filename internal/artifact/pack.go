package artifact

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A pack holds many blobs in one file, which is also what travels:
//
//	magic, number of blobs (u32), for each its digest and size (u64), CRC-32C of all that;
//	the blobs one behind the other, cut into frames of frameBytes (the last is shorter), each with its length
//	(u32, the top bit set when it is not compressed), its length here (u32), and then itself.
//
// Numbers are little endian. Since the table comes first, a pack can be checked while it is read, and has no
// length of its own to lie about. Several packs may follow each other in a stream.
const (
	packMagic     = "TPK1"
	frameBytes    = 512 << 10
	frameHeader   = 8
	plainBit      = 1 << 31
	blobEntry     = sha256.Size + 8
	maxPackBlobs  = 1 << 20
	maxPackBytes  = 1 << 42
	headerBytes   = len(packMagic) + 4
	checksumBytes = 4
)

var (
	little     = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Blob is the content of a file, by its digest.
type Blob struct {
	Digest Digest
	Size   int64
}

// table is the list of blobs that a pack begins with.
type table []Blob

func (t table) encode() []byte {
	out := little.AppendUint32([]byte(packMagic), uint32(len(t)))
	for _, b := range t {
		out = little.AppendUint64(append(out, b.Digest[:]...), uint64(b.Size))
	}
	return little.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func (t table) bytes() int64 {
	var sum int64
	for _, b := range t {
		sum += b.Size
	}
	return sum
}

// headLength is where the frames begin.
func (t table) headLength() int64 { return int64(headerBytes + len(t)*blobEntry + checksumBytes) }

// readTable reads the beginning of a pack. At the end of a stream of packs the error is io.EOF.
func readTable(r io.Reader) (table, error) {
	head := make([]byte, headerBytes)
	if _, err := io.ReadFull(r, head); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, torn("the header", err)
	}
	count := int(little.Uint32(head[len(packMagic):]))
	if string(head[:len(packMagic)]) != packMagic || count > maxPackBlobs {
		return nil, fmt.Errorf("not a pack: %w", ErrMalformed)
	}
	sum := crc32.Checksum(head, castagnoli)
	var t table
	total := int64(0)
	entry := make([]byte, blobEntry)
	for range count { // grows as bytes really come, whatever the count says
		if _, err := io.ReadFull(r, entry); err != nil {
			return nil, torn("the table", err)
		}
		sum = crc32.Update(sum, castagnoli, entry)
		b := Blob{Digest(entry[:sha256.Size]), int64(little.Uint64(entry[sha256.Size:]))}
		if b.Size < 0 || b.Size > maxPackBytes || total+b.Size > maxPackBytes {
			return nil, fmt.Errorf("a blob of %d bytes in a pack: %w", b.Size, ErrTooLarge)
		}
		total += b.Size
		t = append(t, b)
	}
	if _, err := io.ReadFull(r, entry[:checksumBytes]); err != nil {
		return nil, torn("the table", err)
	}
	if little.Uint32(entry) != sum {
		return nil, fmt.Errorf("the table of a pack has another checksum: %w", ErrMalformed)
	}
	return t, nil
}

func torn(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("a pack ends within %s: %w", what, ErrMalformed)
	}
	return fmt.Errorf("read %s of a pack: %w", what, err)
}

// newDecoder makes a decoder for frames; nothing can make it use more memory than a frame.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(frameBytes))
}

// decodeFrame returns a frame's content, which must have the length wanted. The two buffers are used again.
func decodeFrame(decoder *zstd.Decoder, r io.Reader, want int, packed, plain []byte) ([]byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, torn("a frame", err)
	}
	length, here := little.Uint32(header[:]), int(little.Uint32(header[4:]))
	if int(length&^plainBit) != want || here > frameBytes {
		return nil, fmt.Errorf("a frame of %d bytes in %d, %d are expected: %w", length&^plainBit, here, want, ErrMalformed)
	}
	if length&plainBit != 0 {
		if here != want {
			return nil, fmt.Errorf("a frame of %d bytes in %d: %w", want, here, ErrMalformed)
		}
		if _, err := io.ReadFull(r, plain[:want]); err != nil {
			return nil, torn("a frame", err)
		}
		return plain[:want], nil
	}
	if _, err := io.ReadFull(r, packed[:here]); err != nil {
		return nil, torn("a frame", err)
	}
	content, err := decoder.DecodeAll(packed[:here], plain[:0])
	if err != nil || len(content) != want {
		return nil, fmt.Errorf("decompress a frame: %w", errors.Join(ErrMalformed, err))
	}
	return content, nil
}
