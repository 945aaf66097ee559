package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// stream is an answer that goes on, of lines.
type stream struct {
	options Options
	book    *book
	path    string
}

// follow reads the stream until the other side ends it in order, which is right, or it breaks, which is a failure. One
// that we cut counts as answered.
func (s stream) follow(ctx context.Context) bool {
	s.book.begin()
	err := s.read(ctx)
	if errors.Is(err, errStreamEnd) || ctx.Err() != nil {
		return true
	}
	s.book.failed("", s.path, fmt.Errorf("stream: %w", err))
	return false
}

func (s stream) read(ctx context.Context) error {
	line, err := dial(ctx, s.options)
	if err != nil {
		return err
	}
	defer line.close()
	answer, err := line.request(s.path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := checkHead(answer); err != nil {
		return err
	}
	return s.readLines(line, answer)
}

// readLines gives each piece of the stream the whole clock.
func (s stream) readLines(line *line, answer *http.Response) error {
	for buffer := make([]byte, 4<<10); ; {
		if err := line.extend(); err != nil {
			return err
		}
		_, err := answer.Body.Read(buffer)
		if errors.Is(err, io.EOF) {
			return errStreamEnd
		}
		if err != nil {
			return err
		}
	}
}
