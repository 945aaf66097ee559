package git

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// packets reads lines that begin with their own length in four hexadecimal digits (gitprotocol-common(5), "pkt-line").
type packets struct{ from *bufio.Reader }

func newPackets(r io.Reader) packets { return packets{bufio.NewReaderSize(r, 64<<10)} }

// next answers a line without its length and its line's end; isEnd where it is one of those that only end something.
func (p packets) next() (line []byte, isEnd bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(p.from, head[:]); err != nil {
		return nil, false, fmt.Errorf("the list of references ends too early: %w", ErrBusy)
	}
	length, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err == nil && length < 4 {
		return nil, true, nil
	}
	if err != nil || length > 65520 {
		return nil, false, fmt.Errorf("the list of references has a line of length %q: %w", head, ErrBusy)
	}
	line = make([]byte, length-4)
	if _, err := io.ReadFull(p.from, line); err != nil {
		return nil, false, fmt.Errorf("the list of references ends too early: %w", ErrBusy)
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return line, false, nil
}

// packet is a text as such a line.
func packet(text string) string { return fmt.Sprintf("%04x%s\n", len(text)+5, text) }
