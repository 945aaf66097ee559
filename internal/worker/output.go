package worker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// output is where a script's output goes: the secrets are taken out, lines and logs that are too long are cut, and what
// is left stands in the spool. It is for one goroutine. Writing to it never fails: a script is not to blame for its log.
type output struct {
	masker *secret.Masker
	masked *secret.Writer
	lines  *lineCut
	whole  *logCut
	kept   *keptOutput
	spool  *steplog.Spool
	pace   *pace         // nil: as fast as it comes
	inside bool          // what the script printed last has no end of a line
	ended  chan struct{} // closed when nothing more comes
}

// newOutput keeps about limit bytes; 0 is DefaultLogLimit.
func newOutput(spool *steplog.Spool, secrets map[string]string, limit int64) *output {
	if limit <= 0 {
		limit = DefaultLogLimit
	}
	o := &output{
		masker: secret.NewMasker(slices.Collect(maps.Values(secrets))...),
		kept:   &keptOutput{to: spool, complete: endsALine(spool)},
		spool:  spool,
		ended:  make(chan struct{}),
	}
	o.whole = &logCut{to: o.kept, limit: limit}
	o.lines = &lineCut{to: o.whole, most: lineLimit}
	o.masked = o.masker.Writer(o.lines)
	return o
}

func (o *output) Write(p []byte) (int, error) {
	if len(p) > 0 {
		o.inside = p[len(p)-1] != '\n'
	}
	n, err := o.masked.Write(p)
	if o.pace != nil {
		o.pace.spend(len(p))
	}
	return n, err
}

// say writes a line of our own, while no script runs.
func (o *output) say(line string) {
	before := ""
	if o.inside {
		before = "\n"
	}
	_, _ = fmt.Fprintf(o, "%stowpath: %s\n", before, line)
}

// end writes what was kept back, and the last line, if there is one to be written, and closes the log.
func (o *output) end(last string) {
	_ = o.masked.Flush()
	o.lines.flush()
	o.whole.flush()
	o.kept.end(last)
	close(o.ended)
}

// endsALine tells it of a spool that may hold a former worker's output.
func endsALine(spool *steplog.Spool) bool {
	if spool.Size() == 0 {
		return true
	}
	last, _, err := spool.Next(spool.Size()-1, 1, nil)
	return err == nil && string(last.Data) == "\n"
}
