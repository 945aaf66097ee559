package queue_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestWhichStepComesFirst(t *testing.T) {
	lane := func(change func(*store.Lane)) store.Lane {
		l := store.Lane{Pipeline: "shop", First: store.QueuedStep{Step: "other", ReadyAt: noon}, Served: noon, Running: 2}
		change(&l)
		return l
	}
	first := func(change func(*store.Lane)) store.Lane {
		return lane(func(l *store.Lane) { l.First.Step = "first"; change(l) })
	}
	none := func(*store.Lane) {}
	for name, lanes := range map[string][]store.Lane{
		"priority before what has begun": {
			lane(func(l *store.Lane) { l.First.Begun = true }), first(func(l *store.Lane) { l.First.Priority = 1 }),
		},
		"what has begun before fairness": {
			lane(func(l *store.Lane) { l.Running = 0 }), first(func(l *store.Lane) { l.First.Begun = true }),
		},
		"who runs less before who was served longer ago": {
			lane(func(l *store.Lane) { l.Served = time.Time{} }), first(func(l *store.Lane) { l.Running = 1 }),
		},
		"who was served longer ago before who waits longer": {
			lane(func(l *store.Lane) { l.First.ReadyAt = noon.Add(-time.Hour) }), first(func(l *store.Lane) { l.Served = noon.Add(-time.Minute) }),
		},
		"then who waits longer": {lane(none), first(func(l *store.Lane) { l.First.ReadyAt = noon.Add(-time.Second) })},
		"not above the limit": {
			lane(func(l *store.Lane) { l.AtOnce, l.First.Priority = 2, 9 }), first(none),
		},
		"up to the limit": {first(func(l *store.Lane) { l.AtOnce = 3 })},
		"not what does not fit": {
			lane(func(l *store.Lane) { l.First.Selector.OS, l.First.Priority = "darwin", 9 }), first(none),
		},
	} {
		for range 2 {
			if got, found := queue.Next(lanes, linux); !found || got.Step != "first" {
				t.Errorf("%s: %q comes first (%v)", name, got.Step, found)
			}
			lanes[0], lanes[len(lanes)-1] = lanes[len(lanes)-1], lanes[0]
		}
	}
	full := lane(func(l *store.Lane) { l.AtOnce = 2 })
	if got, found := queue.Next([]store.Lane{full}, linux); found {
		t.Errorf("%+v is above the limit", got)
	}
}

// hall is a queue without a database: what waits, and what runs, with time in turns.
type hall struct {
	dice    *rand.Rand
	turn    int
	waiting []*waitingStep
	running []*waitingStep
	served  map[string]time.Time
	limits  map[string]int
}

type waitingStep struct {
	pipeline string
	run      int
	left     int // steps of the run behind this one
	begun    bool
	since    int
	ends     int
	selector towpath.Selector
}

func (h *hall) count(pipeline string) (n int) {
	for _, s := range h.running {
		if s.pipeline == pipeline {
			n++
		}
	}
	return n
}

// lanes answers the heads as the store does: by pipeline and selector, begun ones first, then the older ones.
func (h *hall) lanes() (lanes []store.Lane, of []*waitingStep) {
	heads := map[string]int{}
	for _, s := range h.waiting {
		key := s.pipeline + s.selector.String()
		i, known := heads[key]
		if known && (of[i].begun && !s.begun || of[i].begun == s.begun && of[i].since <= s.since) {
			continue
		}
		lane := store.Lane{
			Pipeline: s.pipeline, Served: h.served[s.pipeline], Running: h.count(s.pipeline), AtOnce: h.limits[s.pipeline],
			First: store.QueuedStep{
				Run: fmt.Sprint(s.run), Selector: s.selector, Begun: s.begun, ReadyAt: noon.Add(time.Duration(s.since) * time.Second),
			},
		}
		if known {
			lanes[i], of[i] = lane, s
			continue
		}
		heads[key] = len(lanes)
		lanes, of = append(lanes, lane), append(of, s)
	}
	return lanes, of
}

// give has a worker take what is its turn.
func (h *hall) give(w towpath.Worker) *waitingStep {
	lanes, of := h.lanes()
	next, found := queue.Next(lanes, w)
	if !found {
		return nil
	}
	for i, l := range lanes {
		if l.First.Run != next.Run || l.First.Selector.String() != next.Selector.String() {
			continue
		}
		taken := of[i]
		h.waiting = without(h.waiting, taken)
		for _, other := range h.waiting {
			other.begun = other.begun || other.run == taken.run
		}
		taken.begun, taken.ends = true, h.turn+1+h.dice.IntN(4)
		h.served[taken.pipeline] = noon.Add(time.Duration(h.turn) * time.Second)
		h.running = append(h.running, taken)
		return taken
	}
	return nil
}

func without(all []*waitingStep, one *waitingStep) (rest []*waitingStep) {
	for _, s := range all {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

// end ends what is over, and makes the next steps of its runs ready.
func (h *hall) end() {
	for _, s := range h.running {
		if s.ends > h.turn {
			continue
		}
		h.running = without(h.running, s)
		if s.left > 0 {
			h.waiting = append(h.waiting, &waitingStep{
				pipeline: s.pipeline, run: s.run, left: s.left - 1, begun: true, since: h.turn, selector: s.selector,
			})
		}
	}
}

// TestNobodyStarvesLimitsHoldAndNoWorkerIsIdleForNothing has pipelines that always have more to do than there are workers,
// and one that has a run now and then.
func TestNobodyStarvesLimitsHoldAndNoWorkerIsIdleForNothing(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		h := &hall{dice: rand.New(rand.NewPCG(seed, 1)), served: map[string]time.Time{}, limits: map[string]int{}}
		workers := 1 + h.dice.IntN(5)
		busy := 1 + h.dice.IntN(4)
		for p := range busy {
			h.limits[fmt.Sprint("busy", p)] = h.dice.IntN(4) // 0 is none
		}
		runs, longest := 0, 0
		begin := func(pipeline string) {
			runs++
			s := &waitingStep{pipeline: pipeline, run: runs, left: 2, since: h.turn}
			if h.dice.IntN(3) == 0 {
				s.selector.Labels = []string{"gpu"}
			}
			h.waiting = append(h.waiting, s)
		}
		for h.turn = range 400 {
			h.end()
			for p := range busy {
				begin(fmt.Sprint("busy", p))
			}
			if h.turn%40 == 0 {
				begin("quiet")
			}
			for len(h.running) < workers && h.give(linux) != nil {
			}
			h.judge(t, seed, workers)
			for _, s := range h.waiting {
				if s.pipeline == "quiet" {
					longest = max(longest, h.turn-s.since)
				}
			}
		}
		// What has begun comes to its end first: at most a run of three steps a worker, each of at most four turns. Then
		// the one that was served longest ago is next, once for each pipeline and worker.
		if most := 12 * (busy + 2); longest > most {
			t.Errorf("seed %d: with %d workers and %d busy pipelines a step waited for %d turns, want at most %d", seed, workers, busy, longest, most)
		}
	}
}

// judge holds the limits, and that nobody is idle while there is something that may run.
func (h *hall) judge(t *testing.T, seed uint64, workers int) {
	t.Helper()
	for pipeline, most := range h.limits {
		if n := h.count(pipeline); most > 0 && n > most {
			t.Fatalf("seed %d: %s runs %d steps, and may run %d", seed, pipeline, n, most)
		}
	}
	if len(h.running) == workers {
		return
	}
	for _, s := range h.waiting {
		if most := h.limits[s.pipeline]; most == 0 || h.count(s.pipeline) < most {
			t.Fatalf("seed %d: a worker is idle while %+v waits", seed, *s)
		}
	}
}
