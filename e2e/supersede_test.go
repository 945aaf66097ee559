//go:build linux

package e2e_test

import (
	"strings"
	"testing"
)

func TestANewerRunThatReachesTheGateSupersedesTheOlderOne(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	ana := s.approver("ana", "releasers")
	files := wholeWay.with(tree{"towpath.yaml": strings.Replace(wholeWay["towpath.yaml"], "concurrency: parallel", "concurrency: supersede", 1)})
	repository := s.newRepository("app", files).watch()
	s.reaches(1, "release", "waiting")

	repository.push(tree{"version": "two"})
	older := s.ends(1, "superseded")
	if !strings.Contains(older.Reason, "2") {
		t.Errorf("the older run does not say by which: %q", older.Reason)
	}
	s.approve(ana, 2)
	s.ends(2, "passed")
	s.serves("two")
	if alerts := s.receives.of("broke"); len(alerts) > 0 {
		t.Errorf("a superseded run is told as broken: %+v", alerts)
	}
}
