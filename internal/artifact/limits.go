package artifact

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits bound a tree. Zero means no bound.
type Limits struct {
	Entries int   // files, links and empty folders
	Bytes   int64 // of all files together, uncompressed
}

// hold refuses a tree that is beyond them.
func (l Limits) hold(m Manifest) error {
	if l.Entries > 0 && len(m) > l.Entries {
		return fmt.Errorf("%w: it has %d files, and may have %d (artifact_files in the server's settings)", ErrTooLarge, len(m), l.Entries)
	}
	sum := int64(0)
	for _, e := range m {
		if sum += e.Size; sum < 0 {
			return fmt.Errorf("%w: more bytes than can be counted", ErrTooLarge)
		}
	}
	if l.Bytes > 0 && sum > l.Bytes {
		return fmt.Errorf("%w: its files have %s together, and may have %s (artifact_limit in the server's settings)",
			ErrTooLarge, inWords(sum), inWords(l.Bytes))
	}
	return nil
}

// errPackTooLarge is a pack that no tree within the limits has.
var errPackTooLarge = fmt.Errorf("%w: more came than an artifact may have (artifact_limit in the server's settings)", ErrTooLarge)

// packRoom is what a pack may have beyond the files in it: its table, and what their compression adds where it takes nothing.
func packRoom(bytes int64) int64 { return bytes/64 + 64<<20 }

// inWords is a number of bytes for people.
func inWords(bytes int64) string {
	value, unit := float64(bytes), "bytes"
	for _, next := range []string{"kB", "MB", "GB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + unit
}
