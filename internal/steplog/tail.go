package steplog

import (
	"hash/crc32"
)

// The tail is a file of records: what was appended since the last frame, uncompressed, and at the very end the
// seal of a finished log. Records of bytes that stand in a frame meanwhile are left over, and are passed by.
const (
	recordHeaderSize = 28
	recordMagic      = 0x31547054
	sealMagic        = 0x31457054
)

// record is one append.
type record struct {
	seal   bool
	offset int64
	at     int64 // Unix milliseconds
	data   []byte
}

func (r record) encode() []byte {
	out := make([]byte, recordHeaderSize, recordHeaderSize+len(r.data))
	magic := uint32(recordMagic)
	if r.seal {
		magic = sealMagic
	}
	little.PutUint32(out[0:], magic)
	little.PutUint32(out[4:], uint32(len(r.data)))
	little.PutUint64(out[8:], uint64(r.offset))
	little.PutUint64(out[16:], uint64(r.at))
	out = append(out, r.data...)
	little.PutUint32(out[24:], recordSum(out))
	return out
}

func recordSum(encoded []byte) uint32 {
	return crc32.Update(crc32.Checksum(encoded[:24], castagnoli), castagnoli, encoded[recordHeaderSize:])
}

// parseRecord reads the record that content begins with, and returns what follows it.
func parseRecord(content []byte) (record, []byte, error) {
	if len(content) < recordHeaderSize {
		return record{}, nil, errTorn
	}
	magic, length := little.Uint32(content), uint64(little.Uint32(content[4:]))
	if magic != recordMagic && magic != sealMagic || uint64(len(content)-recordHeaderSize) < length {
		return record{}, nil, errTorn
	}
	whole := content[:recordHeaderSize+length]
	if little.Uint32(whole[24:]) != recordSum(whole) {
		return record{}, nil, errTorn
	}
	return record{
		seal: magic == sealMagic, offset: int64(little.Uint64(whole[8:])), at: int64(little.Uint64(whole[16:])),
		data: whole[recordHeaderSize:],
	}, content[len(whole):], nil
}
