package simulate

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"strings"
	"testing"
)

// How many stories the test tells: all of them (make test, without the race detector), some with it, few in a hurry.
const (
	manySeeds  = 10_000
	racySeeds  = 100
	shortSeeds = 40
)

var (
	seeds = flag.Int("seeds", 0, "how many stories are told; 0 leaves it to the kind of the test")
	from  = flag.Uint64("from", 1, "which of them is the first")
)

func storiesToTell() int {
	switch {
	case *seeds > 0:
		return *seeds
	case testing.Short():
		return shortSeeds
	case isRacy:
		return racySeeds
	}
	return manySeeds
}

func TestEveryPromiseIsKeptInEveryStory(t *testing.T) {
	report, err := Run(t.Context(), Options{From: *from, Seeds: storiesToTell()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d stories with %d events in %s", report.Seeds, report.Events, report.Took)
	for _, f := range report.Failed {
		t.Errorf("seed %d, %s: %s\n%s\ntowpath simulate --seeds 1 --from %d --verbose", f.Seed, f.Invariant, f.Promise, f.What, f.Seed)
	}
}

func TestTheSameSeedIsTheSameStory(t *testing.T) {
	tell := func() string {
		var script bytes.Buffer
		if _, err := Run(t.Context(), Options{From: 20, Seeds: 12, Script: &script}); err != nil {
			t.Fatal(err)
		}
		return script.String()
	}
	first := strings.Split(tell(), "\n")
	second := strings.Split(tell(), "\n")
	for n := range first {
		if n >= len(second) || first[n] != second[n] {
			t.Fatalf("line %d was %q, and is another now", n, first[n])
		}
	}
	if len(first) != len(second) || len(first) < 500 {
		t.Errorf("one story has %d lines, and again %d", len(first), len(second))
	}
}

func TestAStoryIsTheSameAloneAsAmongOthers(t *testing.T) {
	count := func(from uint64, n int) int {
		report, err := Run(t.Context(), Options{From: from, Seeds: n})
		if err != nil {
			t.Fatal(err)
		}
		return report.Events
	}
	alone := 0
	for seed := range uint64(8) {
		alone += count(40+seed, 1)
	}
	if among := count(40, 8); among != alone {
		t.Errorf("8 stories have %d events one by one, and %d side by side", alone, among)
	}
}

func TestASimulationThatIsInterruptedEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	report, err := Run(ctx, Options{From: 1, Seeds: 1_000_000, Told: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) || report.Seeds > 100 {
		t.Errorf("it ends after %d stories with %v", report.Seeds, err)
	}
}
