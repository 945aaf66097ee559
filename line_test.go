package towpath

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startBehind begins the shop's run, which waits for another of its line.
func startBehind(t *testing.T, number int) *story {
	t.Helper()
	p := shopPipeline()
	p.Concurrency = ConcurrencyQueue
	s := &story{t: t, run: NewRun("run-1", "project-1", 7, p, Change{Branch: "main"}), now: epochStart}
	s.happens(RunStarted{Behind: number, At: s.now})
	return s
}

func TestARunWaitsForTheOneBeforeItAndSaysSo(t *testing.T) {
	s := startBehind(t, 6)
	if len(s.effects) > 0 || s.run.State != RunWaiting || s.run.Reason != "run 6 goes before" {
		t.Fatalf("the run is %s (%s), with effects %v", s.run.State, s.run.Reason, s.effects)
	}
	s.refuses(LineMoved{Behind: 6, At: s.now}, CodeConflict)
	s.happens(LineMoved{Behind: 5, At: s.now})
	s.expect(map[string]StepState{"shop": StepPending})
	s.happens(LineMoved{At: s.now})
	if want := []Effect{EnqueueStep{Run: "run-1", Step: "shop", Attempt: 1}}; !cmp.Equal(want, s.effects) || s.run.State != RunRunning || s.run.Reason != "" {
		t.Fatalf("the run is %s (%s), with effects %v", s.run.State, s.run.Reason, s.effects)
	}
	s.refuses(LineMoved{At: s.now}, CodeConflict)
}

func TestARunThatWaitsIsCanceledAtOnceAndLetsTheNextOneBegin(t *testing.T) {
	s := startBehind(t, 6)
	s.happens(CancelRequested{By: "ana", At: s.now})
	if s.run.State != RunCanceled || s.run.WaitsFor != 0 || !slices.Contains(s.effects, Effect(StartNext{Run: "run-1"})) {
		t.Fatalf("the run is %s, waits for %d, with effects %v", s.run.State, s.run.WaitsFor, s.effects)
	}
}
