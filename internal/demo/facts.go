package demo

import (
	"fmt"
	"math"
	"slices"
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
	Recovered  int      `json:"recovered"`   // of the bad release, the killed server and the killed worker

	Commits  []Commit  `json:"commits"`
	Rounds   []Round   `json:"rounds"`
	Broken   *Broken   `json:"broken,omitempty"`
	Returned *Returned `json:"returned,omitempty"`
	Kills    []Kill    `json:"kills"`
	Running  *Running  `json:"running,omitempty"` // what was kept
	Seconds  float64   `json:"seconds"`           // that all of it took
}

// toRecover is from how many faults the demo recovers.
const toRecover = 3

// Commit is a change of the shop on its way.
type Commit struct {
	Revision   string  `json:"revision"`
	Title      string  `json:"title"`
	Run        int     `json:"run"`
	Release    int     `json:"release,omitempty"`     // 0 where none was made
	SeenMS     float64 `json:"seen_ms"`               // from the push until there was a run
	EndedMS    float64 `json:"ended_ms"`              // from the push until the run had ended
	SwitchedMS float64 `json:"switched_ms,omitempty"` // from the approval to the last answer of the release before
	Returned   bool    `json:"returned,omitempty"`    // its release had traffic, and lost it
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

// Returned is what became of the release that answered errors under traffic, and was moved back by its watch.
type Returned struct {
	Release   int     `json:"release"`
	To        int     `json:"to"`         // release that serves again
	TrafficMS float64 `json:"traffic_ms"` // from its first answer to its last
	Answers   int     `json:"answers"`    // whole and right ones
	Errors    int     `json:"errors"`     // its answers with a status of 500 or above; none of them is in Failed
	Verdict   string  `json:"verdict"`
	Pin       string  `json:"pin"`
	Alert     string  `json:"alert"` // subject
	Log       string  `json:"log"`   // end of the release's log, as the alert has it
	Alerts    int     `json:"alerts"`
	AlertMS   float64 `json:"alert_ms"`          // from the end of the deployment to the alert
	Problem   string  `json:"problem,omitempty"` // why it does not count as recovered from
}

// Kill is a process that was killed during a deployment and started again, and what came of both.
type Kill struct {
	Process    string  `json:"process"`
	Release    int     `json:"release"`           // that was being deployed
	Moment     string  `json:"moment"`            // of the kill, in words
	AnsweredMS float64 `json:"answered_ms"`       // from the kill until the process did its work again; 0 where it did not
	LiveMS     float64 `json:"live_ms"`           // from the kill until the release was live; 0 where it was not
	Failed     int     `json:"failed"`            // requests since the kill
	Problem    string  `json:"problem,omitempty"` // why it does not count as recovered from
}

func (k Kill) isRecovered() bool { return k.Problem == "" }

// String tells people what came of it.
func (k Kill) String() string {
	if !k.isRecovered() {
		return "not recovered: " + k.Problem
	}
	return fmt.Sprintf("there again after %.0f ms; release %d live after %s; %d requests failed",
		k.AnsweredMS, k.Release, seconds(k.LiveMS), k.Failed)
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
	f.Recovered = f.recoveries()
}

func (f *Facts) recoveries() (n int) {
	if f.Returned != nil && f.Returned.Problem == "" {
		n++
	}
	for _, k := range f.Kills {
		if k.isRecovered() {
			n++
		}
	}
	return n
}

// Problem says why the demo has not shown what it promises; nil where it has.
func (f Facts) Problem() error {
	if f.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed; the first: %s", f.Failed, f.Requests, f.Failures[0])
	}
	for _, k := range f.Kills {
		if !k.isRecovered() {
			return fmt.Errorf("not recovered from the kill of the %s: %s", k.Process, k.Problem)
		}
	}
	if f.Recovered != toRecover {
		return fmt.Errorf("%d of %d faults were recovered from", f.Recovered, toRecover)
	}
	return nil
}

// IsMeasured says that there is something to tell: requests were sent.
func (f Facts) IsMeasured() bool { return f.Requests > 0 }

// Line is the last line of the demo.
func (f Facts) Line() string {
	return fmt.Sprintf("demo: requests %d, failed %d, switch %.0f ms, rollback %.0f ms, recovered %d of %d",
		f.Requests, f.Failed, f.SwitchMS, f.RollbackMS, f.Recovered, toRecover)
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
