package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// mostTag is how long one tag may be with its attributes, in bytes; a comment or a declaration as well.
	mostTag = 1 << 20
	// mostText is about how much of one text between tags is handed on: its end.
	mostText = 64 << 10
)

// shortener hands XML on with long texts cut to their end, and without what XML may not hold. A parser behind it never sees
// more than a megabyte at a time that it has to keep.
type shortener struct {
	from *bufio.Reader
	left int64 // bytes of the file that may still come
	out  bytes.Buffer
	err  error

	broken error // how the source broke, where it did
}

func newShortener(r io.Reader, most int64) *shortener {
	return &shortener{from: bufio.NewReaderSize(r, 64<<10), left: most}
}

func (s *shortener) Read(p []byte) (int, error) {
	for s.out.Len() == 0 && s.err == nil {
		if s.err = s.next(); s.err != nil && !errors.Is(s.err, io.EOF) && !errors.Is(s.err, ErrMalformed) {
			s.broken = s.err
		}
	}
	if s.out.Len() > 0 {
		return s.out.Read(p)
	}
	return 0, s.err
}

// next moves one text, tag, comment or section.
func (s *shortener) next() error {
	head, err := s.from.Peek(1)
	if err != nil {
		return err
	}
	if head[0] != '<' {
		return s.text("<")
	}
	section, _ := s.from.Peek(len(cdata))
	switch {
	case string(section) == cdata:
		if err := s.copy(cdata, ""); err != nil {
			return err
		}
		return s.text("]]>")
	case bytes.HasPrefix(section, []byte("<!--")):
		return s.copy("<!--", "-->")
	case bytes.HasPrefix(section, []byte("<?")):
		return s.copy("<?", "?>")
	case bytes.HasPrefix(section, []byte("<!")): // the only way to entities of its own
		return fmt.Errorf("it declares a type of document, which is not read: %w", ErrMalformed)
	}
	return s.tag()
}

const cdata = "<![CDATA["

// byte reads one, with what XML may not hold replaced.
func (s *shortener) byte() (byte, error) {
	b, err := s.from.ReadByte()
	if err != nil {
		return 0, err
	}
	if s.left--; s.left < 0 {
		return 0, fmt.Errorf("it is too large: %w", ErrMalformed)
	}
	if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
		b = '?'
	}
	return b, nil
}

// copy hands on a part from its beginning to its end; without an end the beginning alone.
func (s *shortener) copy(begin, end string) error {
	for start := s.out.Len(); ; {
		b, err := s.byte()
		if err != nil {
			return unexpected(err)
		}
		s.out.WriteByte(b)
		length := s.out.Len() - start
		if length >= len(begin)+len(end) && bytes.HasSuffix(s.out.Bytes(), []byte(end)) {
			return nil
		}
		if length > mostTag {
			return fmt.Errorf("a part of it has more than %d bytes: %w", mostTag, ErrMalformed)
		}
	}
}

// tag hands on a tag, in whose quotes a ">" ends nothing.
func (s *shortener) tag() error {
	quote := byte(0)
	for n := 0; ; n++ {
		b, err := s.byte()
		if err != nil {
			return unexpected(err)
		}
		if n > mostTag {
			return fmt.Errorf("a tag has more than %d bytes: %w", mostTag, ErrMalformed)
		}
		s.out.WriteByte(b)
		switch {
		case quote == 0 && (b == '"' || b == '\''):
			quote = b
		case b == quote:
			quote = 0
		case quote == 0 && b == '>':
			return nil
		}
	}
}

// text hands on the end of a text, up to its end mark: that of a section with it, a "<" without.
func (s *shortener) text(end string) error {
	var kept []byte
	for {
		if end == "<" {
			if next, err := s.from.Peek(1); err != nil || next[0] == '<' {
				s.out.Write(kept)
				return nil
			}
		}
		b, err := s.byte()
		if err != nil {
			return unexpected(err)
		}
		kept = append(kept, b)
		if end != "<" && bytes.HasSuffix(kept, []byte(end)) {
			s.out.Write(kept)
			return nil
		}
		if len(kept) >= 2*mostText {
			kept = append(kept[:0], lastOf(kept)...)
		}
	}
}

// lastOf answers the end of a text, from a space on: no entity and no character is cut through.
func lastOf(text []byte) []byte {
	last := text[len(text)-mostText:]
	if i := bytes.IndexAny(last[:len(last)-3], " \n\t"); i >= 0 {
		return last[i:]
	}
	last = last[len(last)-3:] // the beginning of an end mark may be in it
	for len(last) > 0 && !utf8.RuneStart(last[0]) {
		last = last[1:]
	}
	return last
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it ends within something: %w", ErrMalformed)
	}
	return err
}
