package keeper

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// Queries and commands are asked twenty times in a watch, but neither all the time nor hardly ever.
const (
	looksAWatch               = 20
	leastPace, mostPace       = time.Second, 15 * time.Second
	witnessLimit              = time.Minute            // that a query or a command may take
	probePace                 = 100 * time.Millisecond // between two requests of a probe, whoever answers
	probeLimit                = 10 * time.Second       // that an answer may take
	probesAtOnce              = 20
	longestProbe        int64 = 1 << 20 // bytes of an answer that are read
)

// witnesses look after a release that is watched, beside its balancer, until the watch ends. What they know ends with this
// keeper: the next one asks anew.
type witnesses struct {
	deployment string
	stop       context.CancelFunc
	running    sync.WaitGroup

	mutex    sync.Mutex
	findings []towpath.Finding
	prober   *sideProber // nil where nothing is asked all the while
}

// hear adds what the watch's witnesses have found to what was observed. They are called when the watch begins, and sent
// home when it ends.
func (p *performer) hear(f *deploy.Facts) {
	d := f.Environment.Deployment
	isWatched := d != nil && d.State == towpath.DeploymentRunning && !d.WatchedAt.IsZero() && hasWitnesses(f.Environment.Definition.Watch)
	if p.witnesses != nil && (!isWatched || p.witnesses.deployment != d.ID) {
		p.dismiss()
	}
	if !isWatched {
		return
	}
	if p.witnesses == nil {
		p.witnesses = p.summon(*f)
	}
	w := p.witnesses
	w.mutex.Lock()
	defer w.mutex.Unlock()
	f.Observed.Findings = slices.Clone(w.findings)
	if w.prober != nil {
		w.prober.follow(f.Observed.Instances)
		f.Observed.Served = w.prober.addTo(f.Observed.Served)
	}
}

func hasWitnesses(d towpath.WatchDefinition) bool {
	return len(d.Queries) > 0 || d.Command != "" || d.Probe != ""
}

// dismiss ends what looks after a release.
func (p *performer) dismiss() {
	if p.witnesses != nil {
		p.witnesses.stop()
		p.witnesses.running.Wait()
		p.witnesses = nil
	}
}

func (p *performer) summon(f deploy.Facts) *witnesses {
	definition := f.Environment.Definition.Watch
	ctx, stop := context.WithCancel(context.Background())
	w := &witnesses{deployment: f.Environment.Deployment.ID, stop: stop}
	pace := min(max(definition.For/looksAWatch, leastPace), mostPace)
	for n, query := range definition.Queries {
		w.ask(ctx, pace, nameOfQuery(n, len(definition.Queries)), p.query(query, f.Environment))
	}
	if definition.Command != "" {
		w.ask(ctx, pace, "the command", p.watchCommand(f))
	}
	if definition.Probe != "" {
		w.prober = newSideProber(definition, f.Environment)
		w.running.Go(func() { w.prober.run(ctx) })
	}
	return w
}

// look is one question: what was found, in words.
type look func(context.Context) (towpath.FindingState, string)

// ask has a question asked again and again, at once first.
func (w *witnesses) ask(ctx context.Context, pace time.Duration, source string, question look) {
	n := len(w.findings)
	w.findings = append(w.findings, towpath.Finding{Source: source, State: towpath.FindingNone, Text: "it has not answered yet"})
	w.running.Go(func() {
		for {
			state, text := askOnce(ctx, question)
			if ctx.Err() != nil {
				return
			}
			w.note(n, state, text)
			if !pause(ctx, pace) {
				return
			}
		}
	})
}

func askOnce(ctx context.Context, question look) (towpath.FindingState, string) {
	ctx, cancel := context.WithTimeout(ctx, witnessLimit)
	defer cancel()
	return question(ctx)
}

func (w *witnesses) note(n int, state towpath.FindingState, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	f := &w.findings[n]
	f.State, f.Text = state, text
	if f.InRow++; state != towpath.FindingBad {
		f.InRow = 0
	}
}
