package secret

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Mask stands where a secret stood.
const Mask = "***"

// prefixBytes is how much of a form is looked up by hash. It is MinLength, as every form is at least that long.
const prefixBytes = MinLength

// blockBytes is how much of text decides how far it can be skipped.
const blockBytes = 3

// Masker knows the forms of a set of secrets. It is read only and may be used by many goroutines.
//
// It looks for all of them at once, as Wu and Manber do ("A fast algorithm for multi-pattern searching", 1994): of a
// window as long as the shortest form only the last block is looked at. Most blocks stand in no form, and then nearly
// the whole window is skipped.
type Masker struct {
	filter   [1 << 10]uint64 // a bit for each hash of a form's first four bytes
	byPrefix map[uint32][]string
	starts   map[string]bool // one, two and three first bytes of forms
	shifts   [1 << 15]uint8  // by the hash of a window's last block: how far the window can move on
	shortest int             // length of the shortest form, which is that of the window; 0 where there is no form
}

// NewMasker returns a Masker of these secrets: each itself, line by line, and as base64, hexadecimal, URL, JSON,
// HTML and shell quoting make it. Secrets that fail CheckMaskable are left out.
func NewMasker(secrets ...string) *Masker {
	m := &Masker{byPrefix: make(map[uint32][]string), starts: make(map[string]bool)}
	for _, value := range secrets {
		for _, form := range forms(value) {
			m.add(form)
		}
	}
	m.prepareShifts()
	return m
}

func (m *Masker) add(form string) {
	if len(form) < MinLength {
		return
	}
	prefix := binary.LittleEndian.Uint32([]byte(form[:prefixBytes]))
	if slices.Contains(m.byPrefix[prefix], form) {
		return
	}
	m.byPrefix[prefix] = append(m.byPrefix[prefix], form)
	h := hash(prefix)
	m.filter[h>>6] |= 1 << (h & 63)
	for n := range prefixBytes {
		m.starts[form[:n]] = true
	}
	if m.shortest == 0 || len(form) < m.shortest {
		m.shortest = len(form)
	}
}

// prepareShifts notes for each block how far from the window's end it stands in a form, where it stands in one.
func (m *Masker) prepareShifts() {
	if m.shortest == 0 {
		return
	}
	farthest := m.shortest - blockBytes
	for i := range m.shifts {
		m.shifts[i] = uint8(min(farthest+1, 255))
	}
	for _, forms := range m.byPrefix {
		for _, form := range forms {
			for at := range farthest + 1 {
				shift := &m.shifts[hashBlock(form[at], form[at+1], form[at+2])]
				*shift = min(*shift, uint8(min(farthest-at, 255)))
			}
		}
	}
}

// hashBlock spreads three bytes over the 32,768 shifts.
func hashBlock(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9E3779B1 >> 17
}

// hash spreads four bytes over the 65,536 bits of the filter.
func hash(prefix uint32) uint32 { return prefix * 0x9E3779B1 >> 16 }

// Mask returns text with the secrets replaced.
func (m *Masker) Mask(text string) string {
	var out strings.Builder
	w := m.Writer(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Flush() // a strings.Builder never fails
	return out.String()
}

// find looks from from on for the first place where a form begins. It ends at end; or, when open, text ends before
// the form does, and more text may complete it. at is len(text) when there is none.
func (m *Masker) find(text []byte, from int) (at, end int, open bool) {
	if m.shortest == 0 {
		return len(text), len(text), false
	}
	for from+m.shortest <= len(text) {
		window := text[from : from+m.shortest]
		n := len(window)
		shift := m.shifts[hashBlock(window[n-3], window[n-2], window[n-1])]
		if shift > 0 {
			from += int(shift)
			continue
		}
		if end, open := m.match(text[from:], binary.LittleEndian.Uint32(window)); end > 0 || open {
			return from, from + end, open
		}
		from++
	}
	return m.findOpen(text, from)
}

// findOpen looks for a form that text ends in the middle of: no form is short enough to end in it.
func (m *Masker) findOpen(text []byte, from int) (at, end int, open bool) {
	last := len(text) - prefixBytes
	for i := from; i <= last; i++ {
		prefix := binary.LittleEndian.Uint32(text[i:])
		h := hash(prefix)
		if m.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		if end, open := m.match(text[i:], prefix); end > 0 || open {
			return i, i + end, open
		}
	}
	for i := max(from, last+1); i < len(text); i++ {
		if m.starts[string(text[i:])] {
			return i, i, true
		}
	}
	return len(text), len(text), false
}

// match returns the length of the longest form that text begins with, and whether text may yet become another.
func (m *Masker) match(text []byte, prefix uint32) (length int, open bool) {
	for _, form := range m.byPrefix[prefix] {
		if len(form) <= len(text) {
			if len(form) > length && string(text[:len(form)]) == form {
				length = len(form)
			}
		} else if form[:len(text)] == string(text) {
			open = true
		}
	}
	return length, open
}

// Writer masks what is written to it before it reaches another. It is for one goroutine.
type Writer struct {
	masker  *Masker
	out     io.Writer
	held    []byte // the end of what was written, which may be the beginning of a secret
	covered int    // how many of the held bytes belong to a secret whose mask is out already
	scratch bytes.Buffer
}

// Writer returns a Writer that passes on to out. It keeps back only as many bytes as may be the beginning of a
// secret, so that nearly everything, and every complete line, is out when Write returns.
func (m *Masker) Writer(out io.Writer) *Writer { return &Writer{masker: m, out: out} }

// Write masks p. It reports len(p) also for bytes that are kept back.
func (w *Writer) Write(p []byte) (int, error) {
	text := p
	if len(w.held) > 0 {
		w.held = append(w.held, p...)
		text = w.held
	}
	masked, rest := w.mask(text, true)
	if err := w.pass(masked); err != nil {
		return 0, err
	}
	w.held = append(w.held[:0], rest...)
	return len(p), nil
}

// Flush passes on what was kept back. It belongs at the end of the stream: half a secret that is flushed cannot
// be masked any more when the other half comes.
func (w *Writer) Flush() error {
	masked, _ := w.mask(w.held, false)
	err := w.pass(masked)
	w.held, w.covered = w.held[:0], 0
	return err
}

func (w *Writer) pass(masked []byte) error {
	if len(masked) == 0 {
		return nil
	}
	if _, err := w.out.Write(masked); err != nil {
		return fmt.Errorf("pass on masked output: %w", err)
	}
	return nil
}

// mask returns text with its secrets replaced and, while more is to come, the end of text that must wait for it.
// Secrets that overlap are one mask.
func (w *Writer) mask(text []byte, more bool) (masked, rest []byte) {
	w.scratch.Reset()
	plain := min(w.covered, len(text)) // from where on text is not covered by a mask
	w.covered = 0
	copied := plain
	for from := 0; ; {
		at, end, open := w.masker.find(text, from)
		if open && more {
			w.covered = max(0, plain-at)
			return w.upTo(text, copied, max(at, plain)), text[at:]
		}
		if at == len(text) {
			return w.upTo(text, copied, len(text)), nil
		}
		from = at + 1
		if end <= plain || end == at {
			continue // masked already, or half a secret at the end of everything
		}
		if at >= plain {
			w.scratch.Write(text[copied:at])
			w.scratch.WriteString(Mask)
		}
		plain, copied = end, end
	}
}

// upTo returns what was masked so far and text from copied to end; without a copy when nothing was masked.
func (w *Writer) upTo(text []byte, copied, end int) []byte {
	if end < copied {
		end = copied
	}
	if w.scratch.Len() == 0 {
		return text[copied:end]
	}
	w.scratch.Write(text[copied:end])
	return w.scratch.Bytes()
}
