package demo

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/towpath-cd/towpath/internal/load"
)

// Facts are what the demo has shown and measured. Times are in milliseconds unless they say otherwise.
type Facts struct {
	Requests   int      `json:"requests"` // sent from part 3 on, none of them twice
	Failed     int      `json:"failed"`   // those without a whole and right answer
	Failures   []string `json:"failures,omitempty"`
	SwitchMS   float64  `json:"switch_ms"`   // median, from the call to the last answer of the old side
	RollbackMS float64  `json:"rollback_ms"` // the same, of going back
	Commits    []Commit `json:"commits"`
	Rounds     []Round  `json:"rounds"`
	Broken     *Broken  `json:"broken,omitempty"`
	Running    *Running `json:"running,omitempty"` // what was kept
	Seconds    float64  `json:"seconds"`           // that all of it took
}

// Commit is a change of the shop on its way.
type Commit struct {
	Revision   string  `json:"revision"`
	Title      string  `json:"title"`
	Run        int     `json:"run"`
	Release    int     `json:"release,omitempty"`     // 0 where none was made
	SeenMS     float64 `json:"seen_ms"`               // from the push until there was a run
	EndedMS    float64 `json:"ended_ms"`              // from the push until the run had ended
	SwitchedMS float64 `json:"switched_ms,omitempty"` // from the approval to the last answer of the release before
}

// Round is once back and once forward.
type Round struct {
	RollbackMS float64 `json:"rollback_ms"`
	SwitchMS   float64 `json:"switch_ms"`
}

// Broken is what became of the commit that broke a test.
type Broken struct {
	Step    string  `json:"step"`
	Reason  string  `json:"reason"`
	Alert   string  `json:"alert"`    // subject
	Alerts  int     `json:"alerts"`   // that told of it
	AlertMS float64 `json:"alert_ms"` // from the end of the run to the alert
}

// Running is what was left running, and how to end it.
type Running struct {
	Server     string `json:"server"`
	Proxy      string `json:"proxy"`
	Host       string `json:"host"` // by which the proxy knows the shop
	Folder     string `json:"folder"`
	OwnerToken string `json:"owner_token"` // file
	Stop       string `json:"stop"`        // command
}

// take adds what the load has seen.
func (f *Facts) take(r load.Report) {
	f.Requests, f.Failed, f.Failures = r.Requests, r.Failed, nil
	for _, failure := range r.Failures {
		f.Failures = append(f.Failures, failure.Path+": "+failure.Reason)
	}
	var back, forth []float64
	for _, round := range f.Rounds {
		back, forth = append(back, round.RollbackMS), append(forth, round.SwitchMS)
	}
	f.RollbackMS, f.SwitchMS = median(back), median(forth)
}

// IsMeasured says that there is something to tell: requests were sent.
func (f Facts) IsMeasured() bool { return f.Requests > 0 }

// Line is the last line of the demo.
func (f Facts) Line() string {
	return fmt.Sprintf("demo: requests %d, failed %d, switch %.0f ms, rollback %.0f ms", f.Requests, f.Failed, f.SwitchMS, f.RollbackMS)
}

// Table is the facts for people.
func (f Facts) Table() string {
	var b strings.Builder
	f.writeCommits(&b)
	f.writeMoves(&b)
	for _, failure := range f.Failures {
		fmt.Fprintf(&b, "failed: %s\n", failure)
	}
	if f.Broken != nil {
		fmt.Fprintf(&b, "\nalert %.0f ms after the failed run, once: %s\n", f.Broken.AlertMS, f.Broken.Alert)
	}
	fmt.Fprintf(&b, "all of it took %.0f s", f.Seconds)
	return b.String()
}

func (f Facts) writeCommits(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	for _, c := range f.Commits {
		fmt.Fprintf(table, "%.7s\t%s\trun %d\tseen after %s\t%s\n", c.Revision, c.Title, c.Run, seconds(c.SeenMS), c.outcome())
	}
}

func (f Facts) writeMoves(b *strings.Builder) {
	if len(f.Rounds) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%d times back and forward, from the call to the last answer of the old side:\n", len(f.Rounds))
	table := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	defer table.Flush()
	slowest := Round{}
	for _, r := range f.Rounds {
		slowest = Round{RollbackMS: max(slowest.RollbackMS, r.RollbackMS), SwitchMS: max(slowest.SwitchMS, r.SwitchMS)}
	}
	fmt.Fprintf(table, "switch\tmedian %.0f ms\tslowest %.0f ms\n", f.SwitchMS, slowest.SwitchMS)
	fmt.Fprintf(table, "rollback\tmedian %.0f ms\tslowest %.0f ms\n", f.RollbackMS, slowest.RollbackMS)
}

func (c Commit) outcome() string {
	if c.Release == 0 {
		return "failed after " + seconds(c.EndedMS) + ", nothing deployed"
	}
	return fmt.Sprintf("release %d live after %s", c.Release, seconds(c.EndedMS))
}

// String tells a person where everything is.
func (r Running) String() string {
	return fmt.Sprintf("server       %s\nproxy        %s (Host: %s)\nowner token  in %s\nto stop      %s", r.Server, r.Proxy, r.Host, r.OwnerToken, r.Stop)
}

// median is the middle of values, 0 where there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// milliseconds to the microsecond.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// seconds is a time in milliseconds as people read it.
func seconds(ms float64) string { return fmt.Sprintf("%.1f s", ms/1e3) }
