package worker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// output is where a script's output goes: the secrets are taken out, then it stands in the spool. It is for one
// goroutine.
type output struct {
	masker *secret.Masker
	masked *secret.Writer
	lines  *lineEnd
	spool  *steplog.Spool
	ended  chan struct{} // closed when nothing more comes
}

func newOutput(spool *steplog.Spool, secrets map[string]string) *output {
	o := &output{
		masker: secret.NewMasker(slices.Collect(maps.Values(secrets))...),
		lines:  &lineEnd{to: spool, complete: endsALine(spool)},
		spool:  spool,
		ended:  make(chan struct{}),
	}
	o.masked = o.masker.Writer(o.lines)
	return o
}

func (o *output) Write(p []byte) (int, error) { return o.masked.Write(p) }

// end writes the last line, if there is one to be written, and closes the log. What cannot be written any more is
// missing on a disk that is full, which the step's reason tells.
func (o *output) end(last string) {
	_ = o.masked.Flush()
	if last != "" {
		if !o.lines.complete {
			_, _ = o.lines.Write([]byte("\n"))
		}
		_, _ = fmt.Fprintf(o.lines, "towpath: %s\n", last)
	}
	o.spool.End()
	close(o.ended)
}

// lineEnd knows whether what went through it ended with a complete line.
type lineEnd struct {
	to       *steplog.Spool
	complete bool
}

func (l *lineEnd) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.complete = p[len(p)-1] == '\n'
	}
	return l.to.Write(p)
}

// endsALine tells it of a spool that may hold a former worker's output.
func endsALine(spool *steplog.Spool) bool {
	if spool.Size() == 0 {
		return true
	}
	last, _, err := spool.Next(spool.Size()-1, 1)
	return err == nil && string(last.Data) == "\n"
}
