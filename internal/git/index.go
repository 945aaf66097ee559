package git

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// errIndex: the file that git calls the index has a form that git does not write by itself here.
var errIndex = errors.New("index of another form")

// entry is a file as git wrote it into a folder, from the index (gitformat-index(5)). It tells all that changes when
// somebody touches the file afterwards.
type entry struct {
	changed  time.Time // ctime, which nobody can set
	modified time.Time
	inode    uint32 // its lower half
	size     uint32 // likewise
	mode     uint32
	blob     string // the raw hash
}

const (
	indexHeader  = 12
	entryHeader  = 40 // before the hash
	extendedFlag = 0x4000
	modeType     = 0o170000
	modeRegular  = 0o100000
	modeLink     = 0o120000
)

// readIndex reads an index of version 2, which git writes unless it is told otherwise. hashBytes is 20 or 32.
func readIndex(content []byte, hashBytes int) (map[string]entry, error) {
	big := binary.BigEndian
	if len(content) < indexHeader || string(content[:4]) != "DIRC" || big.Uint32(content[4:]) != 2 {
		return nil, errIndex
	}
	count := int(big.Uint32(content[8:]))
	entries := make(map[string]entry, min(count, len(content)/entryHeader))
	rest := content[indexHeader:]
	for range count {
		fixed := entryHeader + hashBytes + 2
		if len(rest) < fixed || big.Uint16(rest[fixed-2:])&extendedFlag != 0 {
			return nil, errIndex
		}
		length := bytes.IndexByte(rest[fixed:], 0)
		padded := (fixed + length + 8) &^ 7
		if length <= 0 || padded > len(rest) {
			return nil, errIndex
		}
		entries[string(rest[fixed:fixed+length])] = entry{
			changed:  time.Unix(int64(big.Uint32(rest)), int64(big.Uint32(rest[4:]))),
			modified: time.Unix(int64(big.Uint32(rest[8:])), int64(big.Uint32(rest[12:]))),
			inode:    big.Uint32(rest[20:]),
			mode:     big.Uint32(rest[24:]),
			size:     big.Uint32(rest[36:]),
			blob:     string(rest[entryHeader : entryHeader+hashBytes]),
		}
		rest = rest[padded:]
	}
	return entries, nil
}
