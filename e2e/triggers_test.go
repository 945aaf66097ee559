//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// everyHour has whatever may start a pipeline but a pull request, and another that follows it.
var everyHour = tree{
	"towpath.yaml": `
pipeline: app
on:
  push: true
  tag: "v*"
  schedule: "0 * * * *"
  manual:
    inputs:
      size: {type: choice, choices: [small, large], default: small}
      reason: {}
concurrency: parallel
steps:
  - run: say
    script: echo "by $TOWPATH_TRIGGER of <$TOWPATH_TAG> with <$TOWPATH_INPUT_SIZE> because <$TOWPATH_INPUT_REASON>"
  - run: shout
    script: echo loud
    when: inputs.size == "large" || trigger == "schedule"
`,
	".towpath/after.yaml": `
pipeline: after
on: {pipeline: app, manual: false}
steps:
  - run: say
    script: echo "by $TOWPATH_TRIGGER"
`,
}

// says waits until a run of the pipeline has passed, and compares what its script said.
func (s *site) says(number int, want string) client.Run {
	s.Helper()
	run := s.ends(number, "passed")
	if got := strings.TrimSpace(s.log(number, "say", 1)); got != want {
		s.Errorf("run %d said %q, want %q", number, got, want)
	}
	return run
}

func TestAPipelineIsStartedByAPushAPersonTheClockATagAndAnotherPipeline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	clock := filepath.Join(s.root, "clock")
	s.environ = []string{"TOWPATH_CLOCK=" + clock}
	moves := func(by string) {
		t.Helper()
		s.must(os.WriteFile(clock+".new", []byte(by), 0o600))
		s.must(os.Rename(clock+".new", clock))
	}
	s.startServer("--no-worker")
	s.startWorker()
	repository := s.newRepository("app", everyHour).watch()
	s.says(1, "by push of <> with <small> because <>")

	code, said := s.towpath("run", "app", "--input", "size=huge", "--input", "colour=red")
	for _, want := range []string{"reason has no value", `size is "huge", which is none of its choices`, `there is no input "colour"`} {
		if code == 0 || !strings.Contains(said, want) {
			t.Errorf("wrong inputs end with %d: %s", code, said)
		}
	}
	if code, said := s.towpath("run", "app", "--input", "size=large", "--input", "reason=$(touch "+s.root+"/x)"); code != 0 {
		t.Fatalf("a run with inputs ends with %d: %s", code, said)
	}
	byHand := s.says(2, "by manual of <> with <large> because <$(touch "+s.root+"/x)>")
	if shout := stepOf(byHand, "shout"); shout.State != "passed" || byHand.Inputs["size"] != "large" {
		t.Errorf("the run is %s", s.describe(byHand))
	}

	moves("1h")
	s.says(3, "by schedule of <> with <small> because <>")
	s.server.kill()
	moves("7h")
	s.startServer("--no-worker")
	s.says(4, "by schedule of <> with <small> because <>")

	repository.git(repository.work, "tag", "v1")
	repository.git(repository.work, "push", "--quiet", "origin", "v1")
	if tagged := s.says(5, "by tag of <v1> with <small> because <>"); tagged.Branch != "tags/v1" {
		t.Errorf("the run is %s", s.describe(tagged))
	}

	var followed []string
	until(s, "each run of the default branch is followed", func() bool {
		runs, err := s.api.Runs(s.Context(), client.RunFilter{Pipeline: "after", State: "passed"})
		s.must(err)
		followed = nil
		for _, r := range runs {
			followed = append(followed, r.Upstream)
		}
		return len(followed) >= 4
	})
	for number := range 4 {
		if run := s.ends(number+1, "passed"); !slices.Contains(followed, run.ID) {
			t.Errorf("run %d is not among those that are followed, %q", run.Number, followed)
		}
	}
	code, said = s.towpath("changes", "app", "--json")
	if code != 0 || strings.Count(said, `"trigger":"schedule"`) != 2 || strings.Count(said, `"trigger":"pipeline"`) != 4 {
		t.Errorf("the changes are, with %d: %s", code, said)
	}
}
