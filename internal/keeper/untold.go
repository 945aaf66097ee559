package keeper

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// mostUntold is how many operations are remembered for a server that does not answer. What is older stands in the journal on
// the disk alone.
const mostUntold = 200

// remember keeps an operation of a deployment for the next report. What says that the deployment is over is said by the report
// itself.
func (p *performer) remember(f deploy.Facts, step deploy.Step, began time.Time, err error) {
	d := f.Environment.Deployment
	if _, isEnd := step.Operation.(deploy.Conclude); isEnd || d == nil || isCut(err) {
		return
	}
	entry := towpath.JournalEntry{Deployment: d.ID, Operation: words(step), Began: began, Ended: p.serverNow()}
	if err != nil {
		entry.Problem = err.Error()
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.untold = append(p.untold, entry)
	p.untold = p.untold[max(0, len(p.untold)-mostUntold):]
}

// tellable answers what the server has yet to hear.
func (p *performer) tellable() []towpath.JournalEntry {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.untold)
}

// heard forgets what the server has heard.
func (p *performer) heard(r client.KeeperReport) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.untold = slices.DeleteFunc(slices.Clone(p.untold), func(e towpath.JournalEntry) bool { return slices.Contains(r.Journal, e) })
}
