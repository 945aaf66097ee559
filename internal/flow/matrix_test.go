package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
)

// onEach is a pipeline whose build runs on two systems. More stands in the environment's definition.
func onEach(more string) string {
	return `pipeline: shop
concurrency: parallel
steps:
  - {build: shop, run: make, artifacts: dist/, matrix: {os: [linux, windows], go: ["1.25", "1.26"], exclude: [{os: windows, go: "1.25"}]}}
  - {test: same, run: make test, matrix: {os: [windows]}}
  - {test: all, run: make test, needs: [shop, same]}
  - deploy: staging
environments:
  staging:
    target: {process: {command: ./shop}}
` + more
}

// builtOn is an artifact of one combination.
func builtOn(platform, step, digest string) towpath.Artifact {
	a := tree(step, digest)
	a.Platform = platform
	return a
}

// buildsAll has a machine of each system build, and answers them.
func (h *house) buildsAll() (linux, windows *machine) {
	h.t.Helper()
	linux, windows = h.newMachine("linux"), h.newMachineOf("windows", "windows")
	linux.passes("shop-linux-1.25", builtOn("linux/amd64", "shop-linux-1.25", "aa"))
	linux.passes("shop-linux-1.26", builtOn("linux/amd64", "shop-linux-1.26", "bb"))
	if work := linux.lease(); work != nil {
		h.t.Fatalf("a machine of linux was given %s", work.Step.Name)
	}
	windows.passes("shop-windows-1.26", builtOn("windows/amd64", "shop-windows-1.26", "cc"))
	return linux, windows
}

func TestCombinationsRunWhereTheirSystemIsAndHandOnWhatTheyBuilt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onEach("    platform: linux/amd64\n"))
	run := h.push("One")
	linux, windows := h.buildsAll()
	work := windows.take("same-windows")
	if env := work.Step.Script.Env; env["TOWPATH_MATRIX_OS"] != "windows" {
		t.Errorf("its variables are %v", env)
	}
	if diff := cmp.Diff([]towpath.Artifact{builtOn("windows/amd64", "shop-windows-1.26", "cc")}, work.Uses); diff != "" {
		t.Errorf("the test on windows uses (-want +got):\n%s", diff)
	}
	h.do(windows.report(work, towpath.AttemptPassed))

	work = linux.take("all")
	var places []string
	for _, a := range work.Uses {
		places = append(places, a.Path)
	}
	if diff := cmp.Diff([]string{"shop-linux-1.25/dist", "shop-linux-1.26/dist", "shop-windows-1.26/dist"}, places); diff != "" {
		t.Errorf("what several combinations built stands in (-want +got):\n%s", diff)
	}
	h.do(linux.report(work, towpath.AttemptPassed))

	h.wantStep(run, "staging", towpath.StepRunning)
	want := []towpath.Artifact{builtOn("linux/amd64", "shop-linux-1.25", "aa"), builtOn("linux/amd64", "shop-linux-1.26", "bb")}
	if diff := cmp.Diff(want, h.releases()[0].Artifacts); diff != "" {
		t.Errorf("the release holds (-want +got):\n%s", diff)
	}
}

func TestADeploymentWithoutABuildForItsPlatformIsRefused(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		"    platform: linux/arm64\n": "no combination of shop was built on linux/arm64",
		"":                            "it is not known on which staging is: write platform: below it",
	} {
		h := newHouse(t, onEach(more))
		run := h.push("One")
		linux, windows := h.buildsAll()
		windows.passes("same-windows")
		linux.passes("all")
		if step := h.wantStep(run, "staging", towpath.StepFailed); !strings.Contains(step.Reason, want) {
			t.Errorf("%q: the step failed because %q", more, step.Reason)
		}
	}
}
