package worker

import (
	"errors"
	"io"
	"sync"
)

// pipe hands what is written to whoever reads, as io.Pipe does, but one who writes it on (WriteTo) gets it as it is: a copy of
// each byte, in small pieces, is what a large pack would spend a good part of its time on.
type pipe struct {
	coming chan []byte
	taken  chan struct{} // what came was used
	rest   []byte        // of what came and is not used yet, by Read

	gone chan struct{} // nobody reads any more
	once sync.Once
	err  error // io.EOF, or why nothing more comes; once coming is closed
}

func newPipe() *pipe {
	return &pipe{coming: make(chan []byte), taken: make(chan struct{}), gone: make(chan struct{})}
}

// Write returns once content was read, or nobody reads any more: then somebody may still look at it.
func (p *pipe) Write(content []byte) (int, error) {
	if len(content) == 0 {
		return 0, nil
	}
	select {
	case p.coming <- content:
	case <-p.gone:
		return 0, io.ErrClosedPipe
	}
	select {
	case <-p.taken:
		return len(content), nil
	case <-p.gone:
		return 0, io.ErrClosedPipe
	}
}

// end says that nothing more comes, and why, if not because that was all. It is called once, by the one who writes.
func (p *pipe) end(err error) {
	p.err = err
	if err == nil {
		p.err = io.EOF
	}
	close(p.coming)
}

// leave has the one who writes stop.
func (p *pipe) leave() { p.once.Do(func() { close(p.gone) }) }

// next waits for what comes.
func (p *pipe) next() ([]byte, error) {
	content, more := <-p.coming
	if !more {
		return nil, p.err
	}
	return content, nil
}

// use says that what came is not looked at any more.
func (p *pipe) use() {
	select {
	case p.taken <- struct{}{}:
	case <-p.gone:
	}
}

func (p *pipe) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		content, err := p.next()
		if err != nil {
			return 0, err
		}
		p.rest = content
	}
	n := copy(into, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		p.use()
	}
	return n, nil
}

// WriteTo writes all that comes, and what Read left.
func (p *pipe) WriteTo(w io.Writer) (int64, error) {
	var sum int64
	for {
		if len(p.rest) == 0 {
			content, err := p.next()
			if errors.Is(err, io.EOF) {
				return sum, nil
			}
			if err != nil {
				return sum, err
			}
			p.rest = content
		}
		n, err := w.Write(p.rest)
		sum += int64(n)
		if p.rest = p.rest[n:]; err != nil {
			return sum, err
		}
		if len(p.rest) == 0 {
			p.use()
		}
	}
}
