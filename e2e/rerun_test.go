//go:build linux

package e2e_test

import (
	"strings"
	"testing"
)

// againFile builds an artifact that is never the same twice, and tests it as long as the file ROOT/broken is not there.
const againFile = `
pipeline: app
steps:
  - build: app
    run: mkdir dist && cat /proc/sys/kernel/random/uuid > dist/made
    artifacts: dist/
  - test: unit
    run: |
      echo "tests $(cat dist/made)"
      test ! -e ROOT/broken
  - run: publish
    script: echo "publishes $(cat dist/made)"
`

func TestWhatFailedRunsAgainWithTheArtifactsThatWereBuilt(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.holds("broken")
	s.newRepository("app", tree{"towpath.yaml": strings.ReplaceAll(againFile, "ROOT", s.root)}).watch()
	failed := s.ends(1, "failed")
	if got := stepOf(failed, "publish").State; got != "skipped" {
		t.Errorf("what is behind a failed test is %s", got)
	}
	made, _, _ := strings.Cut(strings.TrimPrefix(s.log(1, "unit", 1), "tests "), "\n")

	if code, said := s.towpath("rerun", "app#1", "--failed"); code == 0 {
		t.Errorf("a repetition that failed as well ends with 0:\n%s", said)
	}
	s.ends(2, "failed")
	s.letsGo("broken")
	if code, said := s.towpath("rerun", "app#2", "--failed"); code != 0 {
		t.Errorf("the repetition ends with %d:\n%s", code, said)
	}
	again := s.ends(3, "passed")
	if build := stepOf(again, "app"); build.From != 1 || build.State != "passed" {
		t.Errorf("the build is %s, of run %d", build.State, build.From)
	}
	if said := s.log(3, "publish", 1); !strings.Contains(said, "publishes "+made+"\n") {
		t.Errorf("run 1 built %s, and run 3 %s", made, said)
	}
	if code, said := s.towpath("rerun", "app#3", "--failed"); code == 0 || !strings.Contains(said, "nothing failed in run 3") {
		t.Errorf("where nothing failed it ends with %d and says %s", code, said)
	}
}
