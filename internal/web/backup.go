package web

import (
	"net/http"

	"github.com/towpath-cd/towpath/internal/access"
)

// backup streams all that the server keeps. What goes wrong before the first byte is an error like any other; later on the
// connection is cut, so that nobody takes what came for a whole backup.
func (s *Server) backup(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	err := s.audited(r, caller, "server.backup", "", "", nothing)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/zstd")
	counted := &counting{ResponseWriter: w}
	switch err := s.Backup(r.Context(), counted); {
	case err == nil:
	case counted.written == 0:
		w.Header().Del("Content-Type")
		s.fail(w, r, err)
	default:
		s.Log.Error("a backup was not finished", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// counting knows whether an answer has begun.
type counting struct {
	http.ResponseWriter
	written int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.written += int64(n)
	return n, err
}
