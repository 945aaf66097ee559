package artifact

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// framesUnderWay is how many frames are in memory while a pack is made: one is filled, one is packed, and one is between.
const framesUnderWay = 3

// A frame is tried at so many places before it is compressed, with so many bytes at each.
const (
	samples     = 8
	sampleBytes = 4 << 10
)

// packWriter cuts content into frames, which are packed and written beside it.
type packWriter struct {
	frames  *frameWriter
	content []byte // of the frame that is being filled, behind room for its header
}

func newPackWriter(frames *frameWriter) *packWriter {
	go frames.run()
	return &packWriter{frames: frames, content: frames.empty()}
}

// newFrame is a frame without content, behind room for its header.
func newFrame() []byte { return make([]byte, frameHeader, frameHeader+frameBytes) }

// room is how many bytes the frame still takes.
func (p *packWriter) room() int { return frameHeader + frameBytes - len(p.content) }

// ReadFrom adds the content of r.
func (p *packWriter) ReadFrom(r io.Reader) (int64, error) {
	var sum int64
	for {
		if err := p.flushFull(); err != nil {
			return sum, err
		}
		n, err := r.Read(p.content[len(p.content) : frameHeader+frameBytes])
		p.content = p.content[:len(p.content)+n]
		sum += int64(n)
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

// add adds content that is in memory.
func (p *packWriter) add(content []byte) error {
	for len(content) > 0 {
		if err := p.flushFull(); err != nil {
			return err
		}
		n := min(len(content), p.room())
		p.content = append(p.content, content[:n]...)
		content = content[n:]
	}
	return nil
}

func (p *packWriter) flushFull() error {
	if p.room() > 0 {
		return nil
	}
	return p.flush()
}

// flush hands the frame on.
func (p *packWriter) flush() error {
	select {
	case p.frames.full <- p.content:
	case <-p.frames.ended:
		return p.frames.err
	}
	p.content = p.frames.empty()
	return nil
}

// end waits until all is written. Of a pack that is given up, the last frame is not.
func (p *packWriter) end(isWhole bool) error {
	if isWhole && len(p.content) > frameHeader {
		_ = p.flush() // the error is asked for below
	}
	close(p.frames.full)
	<-p.frames.ended
	return p.frames.err
}

// addFile adds a file of the tree, from an offset on.
func (p *packWriter) addFile(dir string, e Entry, from int64) error {
	file, err := openPlain(dir, e.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if from > 0 {
		if err := file.skip(from); err != nil {
			return fmt.Errorf("read %s: %w", e.Path, err)
		}
	}
	n, err := p.ReadFrom(io.LimitReader(file, e.Size-from))
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if from+n != e.Size {
		return fmt.Errorf("%s was cut to %d bytes: %w", e.Path, from+n, ErrMismatch)
	}
	return nil
}

// frameWriter packs frames and writes them, and leaves out what lies before an offset in the pack.
type frameWriter struct {
	out     io.Writer
	from    int64 // offset of the first byte that is written
	at      int64 // offset of the next one that is made
	frame   int   // number of the next frame
	ends    *frameEnds
	encoder *zstd.Encoder
	packed  []byte

	made  int // frames, by the one who fills them
	full  chan []byte
	free  chan []byte
	ended chan struct{}
	err   error // once it has ended
}

func newFrameWriter(out io.Writer, from int64, ends *frameEnds) (*frameWriter, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(frameBytes), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	f := &frameWriter{
		out: out, from: from, ends: ends, encoder: encoder,
		full: make(chan []byte, framesUnderWay), free: make(chan []byte, framesUnderWay), ended: make(chan struct{}),
	}
	return f, nil
}

func (f *frameWriter) run() {
	defer close(f.ended)
	for content := range f.full {
		if f.err = f.write(content); f.err != nil {
			return
		}
		f.free <- content[:frameHeader]
	}
}

// empty waits for a frame that can be filled, unless there are few yet: most packs are short.
func (f *frameWriter) empty() []byte {
	if f.made < framesUnderWay {
		f.made++
		return newFrame()
	}
	select {
	case content := <-f.free:
		return content
	case <-f.ended:
		return newFrame()
	}
}

// write packs a frame that stands behind room for its header.
func (f *frameWriter) write(content []byte) error {
	frame, length := content, uint32(len(content)-frameHeader)|plainBit
	if f.shrinks(content[frameHeader:]) {
		f.packed = f.encoder.EncodeAll(content[frameHeader:], append(f.packed[:0], make([]byte, frameHeader)...))
		if len(f.packed) < len(content) {
			frame, length = f.packed, length&^plainBit
		}
	}
	little.PutUint32(frame, length)
	little.PutUint32(frame[4:], uint32(len(frame)-frameHeader))
	if err := f.ends.note(f.frame, f.at+int64(len(frame))); err != nil {
		return err
	}
	f.frame++
	return f.emit(frame)
}

// shrinks says whether a frame may become shorter, judging by a few places in it: what is compressed already, as much in
// artifacts is, need not be tried from its first byte to its last.
func (f *frameWriter) shrinks(content []byte) bool {
	for place := range samples {
		sample := content[place*len(content)/samples:]
		sample = sample[:min(len(sample), sampleBytes)]
		f.packed = f.encoder.EncodeAll(sample, f.packed[:0])
		if len(f.packed) < len(sample)-len(sample)/32 {
			return true
		}
	}
	return false
}

// emit writes what comes next in the pack, unless it lies before the offset.
func (f *frameWriter) emit(content []byte) error {
	drop := min(max(0, f.from-f.at), int64(len(content)))
	f.at += int64(len(content))
	if drop == int64(len(content)) {
		return nil
	}
	if _, err := f.out.Write(content[drop:]); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	return nil
}
