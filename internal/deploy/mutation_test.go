package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation breaks a rule of the planner once, in a copy.
type mutation struct {
	what     string
	file     string
	from, to string
	property string // the test that has to see it
}

var mutations = []mutation{
	{
		what: "the old side loses its traffic before the new one is there",
		file: "blue_green.go", from: "{repair, reachable,", to: "{repair, empty, reachable,",
		property: "TestPropertyCapacityNeverFallsBelowTheMinimum",
	},
	{
		what: "traffic moves to what runs, healthy or not",
		file: "situation.go", from: "return i.Health == towpath.HealthPassing && (", to: "return (",
		property: "TestPropertyOnlyTheProvedGetTraffic",
	},
	{
		what: "requests in flight are not waited for",
		file: "situation.go", from: "return t.Requests == 0 && !t.Uncounted || s.remaining(", to: "return t.Requests >= 0 || s.remaining(",
		property: "TestPropertyNothingBusyIsStopped",
	},
	{
		what: "unknown traffic counts as none",
		file: "situation.go", from: "return s.remaining(i, max(clocks.Requests, clocks.Streams)) == 0", to: "return true",
		property: "TestPropertyNothingBusyIsStopped",
	},
	{
		what: "the new side starts before the old one has ended",
		file: "all_at_once.go", from: "forgetOthers, stopOthers, endSingles, start,", to: "endSingles, start,",
		property: "TestPropertyNothingBusyIsStopped",
	},
	{
		what: "what hangs is never replaced",
		file: "situation.go", from: "return !s.Now.Before(i.Since", to: "return s.Now.IsZero() && !s.Now.Before(i.Since",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "what only the balancer knows stays in it",
		file: "rule.go", from: "return t.Known && t.Member && s.isSettled(i)",
		to:       "return t.Known && t.Member && s.isSettled(i) && i.State != towpath.InstanceGone",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "the goal is reached before the traffic has moved",
		file: "blue_green.go", from: "promotion, sight, beginWatch, shift,", to: "promotion, sight, beginWatch,",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "what a start takes over is not emptied first",
		file: "blue_green.go", from: "place, makeRoom, start,", to: "place, start,",
		property: "TestPropertyNothingBusyIsStopped",
	},
	{
		what: "a batch takes more than the minimum allows",
		file: "rolling.go", from: "case s.isUseless(i), allowed <= 0, isReady(i) && spare <= 0, spare < 0:", to: "case s.isUseless(i), allowed <= 0:",
		property: "TestPropertyCapacityNeverFallsBelowTheMinimum",
	},
	{
		what: "all are replaced in one batch",
		file: "rolling.go", from: "allowed <= 0, isReady(i) && spare <= 0, spare < 0:", to: "isReady(i) && spare <= 0, spare < 0:",
		property: "TestPropertyARollingDeploymentTakesTurns",
	},
	{
		what: "more run than may",
		file: "rolling.go", from: "case room > 0:", to: "default:",
		property: "TestPropertyARollingDeploymentTakesTurns",
	},
	{
		what: "the next starts where requests are in flight",
		file: "rolling.go", from: "return !s.isSettled(i) || s.traffic(i).Member", to: "return s.traffic(i).Weight > 0",
		property: "TestPropertyNothingBusyIsStopped",
	},
	{
		what: "what goes back waits for a host that is gone",
		file: "slot.go", from: "isLeftOut := s.isLeftOut(h)", to: "isLeftOut := false",
		property: "TestPropertyWhatGoesBackDoesNotHangOnAHostThatIsGone",
	},
	{
		what: "healthy instances lose their share for a host that is gone",
		file: "away.go", from: "return min(s.minimum, s.serving(before)+len(losing))", to: "return min(0, s.serving(before)+len(losing))",
		property: "TestPropertyAHostThatIsGoneCostsNoCapacity",
	},
	{
		what: "what a look has missed loses its traffic",
		file: "away.go", from: "return s.isBalanced() && s.isOutOfReach(i)", to: "return s.isBalanced() && !s.isOutOfReach(i)",
		property: "TestPropertyAKeeperThatIsCutOffTakesNobodyOutOfTheTraffic",
	},
	{
		what: "a host that is gone holds up what is new, though the others are enough",
		file: "away.go", from: "return answering > 0 && answering-following >= s.minimum", to: "return answering < min(0, following)",
		property: "TestPropertyAHostThatGoesInTheMiddleIsOwedTheRelease",
	},
	{
		what: "what is new goes on where too few would serve",
		file: "away.go", from: "return answering > 0 && answering-following >= s.minimum", to: "return answering > 0 && following >= 0",
		property: "TestPropertyAHostThatGoesInTheMiddleIsOwedTheRelease",
	},
	{
		what: "a canary gets more than its step",
		file: "canary.go", from: "table[i.ID] = fresh", to: "table[i.ID] = max(fresh, FullWeight)",
		property: "TestPropertyACanaryHoldsItsSteps",
	},
	{
		what: "a step is not waited for",
		file: "canary.go", from: "!step.UntilPromoted && !now.Before(d.StepAt.Add(step.For))", to: "!now.Before(d.StepAt)",
		property: "TestPropertyACanaryHoldsItsSteps",
	},
	{
		what: "files of good releases are taken away",
		file: "keep.go", from: "return slices.ContainsFunc(good, func(r towpath.ReleaseRef) bool { return r.Number == number })", to: "return false",
		property: "TestPropertyFilesOfGoodReleasesStay",
	},
	{
		what: "files of every release stay",
		file: "keep.go", from: "good = good[max(0, len(good)-e.Definition.Target.Hosts.Keep):]", to: "_ = good",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "a release is live before it has stood its watch",
		file: "watch.go", from: "case !s.isWatchOver():", to: "case s.isWatchOver() && v.Text == \"\":",
		property: "TestPropertyAReleaseIsLiveOnlyAfterItHasStoodItsWatchBesideTheOldSide",
	},
	{
		what: "a release that answers errors stays",
		file: "watch.go", from: "case v.State == VerdictFail:", to: "case v.State == \"\":",
		property: "TestPropertyAReleaseIsLiveOnlyAfterItHasStoodItsWatchBesideTheOldSide",
	},
	{
		what: "a hook that was cut off is run again",
		file: "hook.go", from: "case !is:", to: "case !is || receipt.State == towpath.HookBegun:",
		property: "TestPropertyAHookIsRunAtMostOnceADeployment",
	},
	{
		what: "requests are taken where an earlier definition said",
		file: "rule.go", from: "if isRight && !s.Observed.Misrouted {", to: "if isRight {",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "what was moved by hand is moved back",
		file: "rule.go", from: "given := filter(s.chosen, func(i towpath.Instance) bool { return !s.isHeld(i) })", to: "given := s.chosen",
		property: "TestPropertyWhatWasMovedByHandIsLeftWhereDriftIsReported",
	},
	{
		what: "a single process is started while it may run on a host that does not answer",
		file: "single.go", from: "if !has || s.unsure(name) != \"\" ||", to: "if !has ||",
		property: "TestPropertyOfASingleProcessAtMostOneRuns",
	},
	{
		what: "a single process moves before the traffic does",
		file: "blue_green.go", from: "beginWatch, shift, singles, drain", to: "beginWatch, singles, shift, drain",
		property: "TestPropertyOfASingleProcessAtMostOneRuns",
	},
	{
		what: "a single process of another release stays",
		file: "single.go", from: "if (!has || p.Instance != home.ID) && s.isInReach(p.Slot) {", to: "if !has && s.isInReach(p.Slot) {",
		property: "TestPropertyEveryFailureIsFollowedByOneServingReleaseAndNothingElse",
	},
	{
		what: "a table that is right is set again",
		file: "rule.go", from: "isRight := isEven(table, given) && s.isTable(spared)", to: "isRight := isEven(table, given) && s.isTable(nil)",
		property: "TestPropertyASatisfiedSituationNeedsNothing",
	},
}

// A property that cannot fail proves nothing: each has to turn red when its rule is broken.
func TestEveryBrokenRuleIsSeenByItsProperty(t *testing.T) {
	chosen := mutations
	if testing.Short() {
		chosen = chosen[:2] // each is compiled anew
	}
	for _, m := range chosen {
		t.Run(m.what, func(t *testing.T) {
			output, err := testWith(t, m.overlay(t), m.property)
			if err == nil {
				t.Fatalf("%s still passes", m.property)
			}
			if !strings.Contains(output, "--- FAIL: "+m.property) {
				t.Fatalf("%s did not fail, it could not run: %v\n%s", m.property, err, output)
			}
		})
	}
}

// testWith runs one property on a planner with some files replaced.
func testWith(t *testing.T, overlay, property string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-ldflags=-s -w", "-count=1", "-run", "^"+property+"$", ".",
		"-rapid.checks=20000", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms")
	output, err := command.CombinedOutput()
	return string(output), err
}

// overlay writes the broken copy, and what tells the compiler to take it.
func (m mutation) overlay(t *testing.T) string {
	t.Helper()
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), m.from) != 1 {
		t.Fatalf("%s has %q not exactly once: say anew where the rule stands", m.file, m.from)
	}
	folder := t.TempDir()
	broken := filepath.Join(folder, m.file)
	write(t, broken, []byte(strings.Replace(string(source), m.from, m.to, 1)))
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	write(t, overlay, replace)
	return overlay
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
