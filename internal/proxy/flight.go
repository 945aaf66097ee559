package proxy

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// flight is the way of one answer to its client: a ResponseWriter that sees the status, and when the request
// turns out to be a stream. It is part of its connection and used again for the next request.
type flight struct {
	http.ResponseWriter
	backend *backend
	conn    *connection
	started time.Time
	status  int
	failure error // why there is no answer of the backend
	visitor visitor
	// isLeaving says that this is the connection's last answer.
	isLeaving *atomic.Bool
}

// WriteHeader notes the status, and an event stream by its media type (HTML standard, section 9.2).
func (f *flight) WriteHeader(status int) {
	if status >= http.StatusOK && f.status == 0 {
		f.status = status
		if isEventStream(f.Header()["Content-Type"]) {
			f.turn()
		}
		if f.visitor.fresh != "" {
			f.Header().Add("Set-Cookie", f.visitor.cookie())
		}
		if f.isLeaving.Load() {
			f.Header().Set("Connection", "close")
		}
	}
	f.ResponseWriter.WriteHeader(status)
}

// Hijack gives the connection to an upgraded protocol, which makes the request a stream.
func (f *flight) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(f.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	f.status = http.StatusSwitchingProtocols
	f.turn()
	return conn, buffered, nil
}

// FlushError sends what is buffered, for streams.
func (f *flight) FlushError() error { return http.NewResponseController(f.ResponseWriter).Flush() }

func (f *flight) turn() {
	if f.backend != nil && !f.conn.isStream.Swap(true) {
		f.backend.turn()
	}
}

// outcome tells how it ended, seen from the backend.
func (f *flight) outcome(isComplete, isClientGone bool) outcome {
	var operation *net.OpError
	switch {
	case isClientGone && (f.failure != nil || !isComplete):
		return outcomeClientGone
	case errors.As(f.failure, &operation) && operation.Op == "dial":
		return outcomeConnect
	case f.failure != nil:
		return outcomeNoAnswer
	case !isComplete:
		return outcomeCutBody
	default:
		return outcomeWell
	}
}

func isEventStream(contentType []string) bool {
	return len(contentType) > 0 && strings.HasPrefix(contentType[0], "text/event-stream")
}
