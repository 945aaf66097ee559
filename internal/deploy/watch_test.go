package deploy_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// watchIsStood is what a watch owes: a new release is live only after its time, and not while it answers errors.
func watchIsStood(w *world, o deploy.Operation, seen towpath.Observation) (func() error, error) {
	if _, is := o.(deploy.Conclude); !is || !w.isWatched() {
		return nothingMore, nil
	}
	d := w.environment.Deployment
	isOver := w.stood == d.ID || !d.TrafficAt.IsZero() && !w.now.Before(d.TrafficAt.Add(w.definition().Watch.For))
	if d.WatchedAt.IsZero() || !isOver {
		return nil, fmt.Errorf("%q before its watch is over", o)
	}
	before := towpath.ServedBy(d.Baseline, d.Release.Number)
	now := towpath.ServedBy(seen.Served, d.Release.Number)
	answered, erred := now.Requests-before.Requests, now.Errors-before.Errors
	isWorse := !w.erring[w.environment.Live.Number] && w.erred[w.environment.Live.Number] == 0
	if answered >= 500 && erred*20 > answered && isWorse {
		return nil, fmt.Errorf("%q, and %d of %d requests failed", o, erred, answered)
	}
	return nothingMore, nil
}

// theOldSideStandsBy belongs to it: until then, nothing of the live release is taken away by which one could go back.
func theOldSideStandsBy(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	if !w.isWatched() || w.isAllAtOnce() || w.definition().Strategy.Kind == towpath.StrategyRolling {
		return nothingMore, nil
	}
	for _, id := range ended(w, o) {
		p := w.processes[id]
		if p != nil && p.release == w.environment.Live.Number && p.state == towpath.InstanceRunning {
			return nil, fmt.Errorf("%q takes %s of the live release away", o, id)
		}
	}
	return nothingMore, nil
}

// isWatched says that a new release is on its way that has to stand a watch.
func (w *world) isWatched() bool {
	d := w.environment.Deployment
	return d != nil && d.State == towpath.DeploymentRunning && d.Cause != towpath.CauseRollback &&
		d.Release.Number != w.environment.Live.Number && w.definition().Watch.For > 0 && w.isBalanced()
}

// answers is what a release has answered.
func answers(release int, requests, errors uint64, slow ...uint64) towpath.Served {
	s := towpath.Served{Release: release, Requests: requests, Errors: errors}
	for i, count := range slow { // up to 100 ms, up to 1 s, up to 10 s
		s.Latency = append(s.Latency, towpath.Latency{UpTo: 100 * time.Millisecond * time.Duration(math.Pow10(i)), Count: count})
	}
	return s
}

func TestVerdicts(t *testing.T) {
	limits := towpath.WatchDefinition{For: time.Minute, Errors: 0.01, P99: 500 * time.Millisecond, Minimum: 50}
	for _, c := range []struct {
		what       string
		fresh, old towpath.Served
		isOver     bool
		want       deploy.VerdictState
		says       string
	}{
		{"nothing was asked", answers(42, 0, 0), answers(41, 9000, 0), true, deploy.VerdictNoData, "0 requests answered, too few of 50 to judge"},
		{"all of too few failed", answers(42, 49, 49), answers(41, 9000, 0), true, deploy.VerdictNoData, "49 requests"},
		{"all is well", answers(42, 8312, 1), answers(41, 120004, 24), true, deploy.VerdictPass, "0.012% of 8,312 requests failed (limit 1%; release 41: 0.02% of 120,004)"},
		{"many failed", answers(42, 8312, 341), answers(41, 120004, 24), false, deploy.VerdictFail, "4.1% of 8,312 requests failed (limit 1%; release 41: 0.02% of 120,004)"},
		{"all failed", answers(42, 60, 60), answers(41, 120004, 24), false, deploy.VerdictFail, "100% of 60 requests failed"},
		{"one unlucky request", answers(42, 50, 1), answers(41, 9000, 0), true, deploy.VerdictPass, "2% of 50"},
		{"a little too many, at the end", answers(42, 10000, 140), answers(41, 9000, 0), true, deploy.VerdictFail, "1.4%"},
		{"a little too many, by chance, meanwhile", answers(42, 1000, 18), answers(41, 9000, 0), false, deploy.VerdictPass, "1.8%"},
		{"both as bad", answers(42, 10000, 500), answers(41, 20000, 1000), true, deploy.VerdictPass, "5% of 10,000 requests failed (limit 1%; release 41: 5%"},
		{"worse than a bad one", answers(42, 10000, 1000), answers(41, 20000, 1000), true, deploy.VerdictFail, "10%"},
		{"the first release ever", answers(42, 1000, 100), towpath.Served{}, true, deploy.VerdictFail, "10% of 1,000 requests failed (limit 1%)"},
		{"slow", answers(42, 1000, 0, 900, 60, 40), answers(41, 9000, 0, 9000), false, deploy.VerdictFail, "4% of 1,000 requests took longer than 500ms (limit 1%; release 41: 0% of 9,000)"},
		{"a few are slow", answers(42, 1000, 0, 900, 95, 5), answers(41, 9000, 0, 9000), true, deploy.VerdictPass, "0% of 1,000 requests failed"},
	} {
		t.Run(c.what, func(t *testing.T) {
			v := deploy.Judge(limits, c.fresh, c.old, c.isOver)
			if v.State != c.want || !strings.Contains(v.Text, c.says) {
				t.Errorf("%s: %s", v.State, v.Text)
			}
		})
	}
}

// A release that is as good as its limit allows is moved back by chance hardly ever, however often a watch looks.
func TestChanceMovesNothingBack(t *testing.T) {
	limits := towpath.WatchDefinition{For: time.Minute, Errors: 0.01, Minimum: 50}
	failed := 0
	const watches = 300
	for seed := range uint64(watches) {
		var requests, errors uint64
		dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's dice
		for look := range 60 {
			for range 100 {
				requests++
				if dice.Float64() < 0.01 {
					errors++
				}
			}
			if deploy.Judge(limits, answers(2, requests, errors), towpath.Served{}, look == 59).State == deploy.VerdictFail {
				failed++
				break
			}
		}
	}
	if failed > watches*3/100 {
		t.Errorf("%d of %d watches failed by chance", failed, watches)
	}
}

func TestANewReleaseIsWatchedBesideTheOldOne(t *testing.T) {
	facts := shop().watched().serves(release41).wants(release42).facts()
	plan := deploy.NewPlan(facts)
	said := strings.Join(words(plan.Steps), "\n")
	for _, want := range []string{"begin to watch\nshift to", "drain r41-1, r41-2\nwatch\nrecord that the goal is reached"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
}
