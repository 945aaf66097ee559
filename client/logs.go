package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogQuery names a log, or a part of it.
type LogQuery struct {
	Pipeline string
	Run      int
	Step     string
	Attempt  int   // 0 is the current one
	Offset   int64 // bytes
	Follow   bool
}

func (l LogQuery) path(what string, query url.Values) string {
	if l.Attempt > 0 {
		query.Set("attempt", strconv.Itoa(l.Attempt))
	}
	return runPath(l.Pipeline, l.Run) + "/steps/" + escape(l.Step) + "/log" + what + "?" + query.Encode()
}

// LogLines is lines of a log, and where there are more.
type LogLines struct {
	Lines []LogLine `json:"lines"`
	Total int64     `json:"total"`          // lines that the log has by now
	Next  int64     `json:"next,omitempty"` // number of the line from which to go on; 0 at the log's end
}

// LogLine is one line of a log.
type LogLine struct {
	Number int64     `json:"number"`         // counted from 1
	Offset int64     `json:"offset"`         // of the text's first byte in the log
	At     time.Time `json:"at,omitzero"`    // when it was begun
	Text   string    `json:"text"`           // what is not UTF-8 is replaced
	Cut    bool      `json:"cut,omitempty"`  // the line is longer than the text
	Open   bool      `json:"open,omitempty"` // it is not complete yet
}

// Log answers a step's log from an offset on, in bytes. With follow it goes on until the step has ended. The caller
// closes it.
func (c *Client) Log(ctx context.Context, l LogQuery) (io.ReadCloser, error) {
	query := url.Values{"offset": {strconv.FormatInt(l.Offset, 10)}}
	if l.Follow {
		query.Set("follow", "true")
	}
	response, err := c.send(ctx, http.MethodGet, l.path("", query), "", nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// LogLines answers up to limit lines from the one with a number on, which begin with 1; from below 0 is so many before the
// log's end. They may be fewer where lines are long.
func (c *Client) LogLines(ctx context.Context, l LogQuery, from int64, limit int) (LogLines, error) {
	query := url.Values{"from": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(limit)}}
	return get[LogLines](ctx, c, l.path("/lines", query), nil)
}

// SearchLog answers up to limit lines with a text, from the one with a number on, which begin with 1. A text without a
// capital letter stands for capital letters as well. Of a long line only what stands around the text is answered.
func (c *Client) SearchLog(ctx context.Context, l LogQuery, text string, from int64, limit int) (LogLines, error) {
	query := url.Values{"text": {text}, "from": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(limit)}}
	return get[LogLines](ctx, c, l.path("/search", query), nil)
}
