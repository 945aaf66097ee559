package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
)

const matrixFile = `pipeline: shop
steps:
  - {build: shop, run: make, artifacts: dist/, matrix: {os: [linux, windows], labels: [big]}}
  - {test: unit, run: make test, env: {A: b}, worker: {os: linux}, matrix: {go: ["1.25", "1.26"]}, when: branch == "main"}
  - {test: same, run: make test, needs: [shop], matrix: {os: [linux, windows]}}
  - deploy: production
environments: {production: {target: {process: {command: ./shop}}}}`

func stepNames(p towpath.Pipeline) []string {
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
	}
	return names
}

func TestAMatrixMakesAStepOfEachCombination(t *testing.T) {
	p := decide(t, matrixFile, towpath.Change{Branch: "topic"})
	want := []string{"shop-linux-big", "shop-windows-big", "unit-1.25", "unit-1.26", "same-linux", "same-windows", "production"}
	if diff := cmp.Diff(want, stepNames(p)); diff != "" {
		t.Fatalf("steps (-want +got):\n%s", diff)
	}
	unit := step(t, p, "unit-1.26")
	if unit.Of != "unit" || unit.Excluded == "" {
		t.Errorf("it is of %q, and left out because %q", unit.Of, unit.Excluded)
	}
	if diff := cmp.Diff(map[string]string{"A": "b", "TOWPATH_MATRIX_GO": "1.26"}, unit.Script.Env); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if got := step(t, p, "shop-windows-big").Script.Worker; !cmp.Equal(got, towpath.Selector{OS: "windows", Labels: []string{"big"}}) {
		t.Errorf("the combination of windows is for %+v", got)
	}
	if got := unit.Script.Worker; got.OS != "linux" {
		t.Errorf("what the step says of its workers became %+v", got)
	}
}

func TestWhoNeedsAMatrixNeedsAllOfIt(t *testing.T) {
	p := decide(t, matrixFile, towpath.Change{Branch: "main"})
	builds := []string{"shop-linux-big", "shop-windows-big"}
	deploy := step(t, p, "production")
	if diff := cmp.Diff([]string{"unit-1.25", "unit-1.26", "same-linux", "same-windows"}, deploy.Needs); diff != "" {
		t.Errorf("the deployment needs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(builds, deploy.Ships); diff != "" {
		t.Errorf("the deployment ships (-want +got):\n%s", diff)
	}
	for name, uses := range map[string][]string{"unit-1.25": builds, "same-linux": builds[:1], "same-windows": builds[1:]} {
		s := step(t, p, name)
		if diff := cmp.Diff(uses, s.Script.Uses); diff != "" {
			t.Errorf("%s uses (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(builds, s.Needs); diff != "" {
			t.Errorf("%s needs (-want +got):\n%s", name, diff)
		}
	}
}

// TestExpandedStepsAreFitForARun holds of any file that names are unique, and that nothing is needed that is not there.
func TestExpandedStepsAreFitForARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawFile(t)
		file, problems := Parse("towpath.yaml", []byte(text))
		if file == nil {
			t.Fatalf("refused:\n%s\n%s", text, problems)
		}
		names := stepNames(file.pipeline)
		if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) < len(names) {
			t.Fatalf("two steps have one name: %s\n%s", strings.Join(names, ", "), text)
		}
		for _, s := range file.pipeline.Steps {
			named := slices.Concat(s.Needs, s.Ships)
			if s.Script != nil {
				named = slices.Concat(named, s.Script.Uses)
			}
			for _, other := range named {
				if !slices.Contains(names, other) {
					t.Fatalf("%s names %s, which is not there\n%s", s.Name, other, text)
				}
			}
		}
	})
}
