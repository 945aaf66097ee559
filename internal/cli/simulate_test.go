package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/simulate"
)

func TestASimulationTellsWhatItFound(t *testing.T) {
	got := call(t, "simulate", "--seeds", "3", "--from", "7")
	if got.code != ExitDone || !strings.Contains(got.out, "✓ 3 seeds from 7") || !strings.Contains(got.out, "0 broken promises") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

func TestASimulationIsOneDocumentForPrograms(t *testing.T) {
	got := call(t, "simulate", "--seeds", "2", "--json", "--verbose")
	if decodes(t, got.out, simulate.Report{}) != 1 || got.code != ExitDone || got.err != "" {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

func TestAVerboseSimulationPrintsEachEventTheSameEachTime(t *testing.T) {
	events := func() string {
		out := call(t, "simulate", "--seeds", "1", "--from", "3", "--verbose").out
		return out[:strings.LastIndex(out, "✓")]
	}
	first := events()
	if second := events(); first != second || strings.Count(first, "\n") < 20 {
		t.Errorf("told once\n%s\nand once more\n%s", first, second)
	}
}

func TestASimulationOfNothingIsNotUnderstood(t *testing.T) {
	if got := call(t, "simulate", "--seeds", "0"); got.code != ExitUsage {
		t.Errorf("exit %d, %s", got.code, got.err)
	}
}

func TestABrokenPromiseIsToldWithTheWayToSeeItAgain(t *testing.T) {
	text := simulationText(simulate.Report{From: 1, Seeds: 2, Failed: []simulate.Failure{{
		Seed: 2, Invariant: "capacity", Promise: "capacity is kept", Source: "design 1.3", What: "shop/production: 1 of 2",
		Last: []string{"1.0s  keeper  shift", "1.1s  judge  capacity"},
	}}})
	for _, wanted := range []string{"seed 2", "capacity is kept", "design 1.3", "1 of 2", "keeper  shift", "towpath simulate --seeds 1 --from 2 --verbose"} {
		if !strings.Contains(text, wanted) {
			t.Errorf("%q is not in\n%s", wanted, text)
		}
	}
	if !isTold(told(errors.New("a promise was broken"))) {
		t.Error("it is told twice")
	}
}
