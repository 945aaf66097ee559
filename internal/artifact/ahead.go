package artifact

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// framesAhead is how many frames are in memory at most, of which one is being used.
const framesAhead = 4

// decodeMargin is how much more than a frame a buffer has: zstd's fast way writes a little too far.
const decodeMargin = 64

// piece is the table of the next pack, or the next frame of this one, or how the stream of packs ends.
type piece struct {
	table table
	frame []byte
	err   error
}

// ahead reads and decodes packs while others hash and write what came before.
type ahead struct {
	source  io.Reader
	decoder *zstd.Decoder
	packed  []byte
	found   chan piece
	free    chan []byte // buffers for frames
	stop    chan struct{}
	reading sync.WaitGroup
}

func readAhead(r io.Reader) (*ahead, error) {
	decoder, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	a := &ahead{
		source: bufio.NewReaderSize(r, 256<<10), decoder: decoder, packed: make([]byte, frameBytes),
		found: make(chan piece, framesAhead), free: make(chan []byte, framesAhead), stop: make(chan struct{}),
	}
	for range framesAhead {
		a.free <- nil // made when it is needed: most streams are short
	}
	a.reading.Go(a.run)
	return a, nil
}

func (a *ahead) run() {
	for {
		t, err := readTable(a.source)
		if !a.hand(piece{table: t, err: err}) || err != nil || !a.frames(t.bytes()) {
			return
		}
	}
}

// frames hands on the frames of a pack with so much content, and says whether another may follow.
func (a *ahead) frames(left int64) bool {
	for ; left > 0; left -= frameBytes {
		var buffer []byte
		select {
		case buffer = <-a.free:
		case <-a.stop:
			return false
		}
		if buffer == nil {
			buffer = make([]byte, frameBytes+decodeMargin)
		}
		frame, err := decodeFrame(a.decoder, a.source, int(min(left, frameBytes)), a.packed, buffer[:frameBytes])
		if !a.hand(piece{frame: frame, err: err}) || err != nil {
			return false
		}
	}
	return true
}

func (a *ahead) hand(next piece) bool {
	select {
	case a.found <- next:
		return true
	case <-a.stop:
		return false
	}
}

// giveBack has the buffer of a frame used again.
func (a *ahead) giveBack(frame []byte) {
	if frame != nil {
		a.free <- frame
	}
}

func (a *ahead) close() {
	close(a.stop)
	a.reading.Wait()
	a.decoder.Close()
}
