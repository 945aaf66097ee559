//go:build unix

package keeper_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

func TestAReleaseThatTheCommandDoesNotFindWellGoesBack(t *testing.T) {
	t.Parallel()
	d := watched(time.Hour)
	d.Watch.Command = `echo "no order came since release $TOWPATH_LIVE_RELEASE, says $PASSWORD"; test "$(cat says)" != two`
	s := newSite(t, d)
	s.keeps()
	s.firstGoes(s.release("one"))
	ended := s.ends(s.deploy(s.release("two")), towpath.DeploymentReturned)
	if !strings.Contains(ended.Outcome, "the command: exit status 1: no order came since release 1, says ***") {
		t.Errorf("the reason is %q", ended.Outcome)
	}
	if said := s.says(); said != "one" {
		t.Errorf("afterwards the proxy's answer is %q", said)
	}
}

func TestAReleaseThatTheCommandFindsWellIsLiveThoughNobodyAsksIt(t *testing.T) {
	t.Parallel()
	d := watched(3 * time.Second)
	d.Watch.Command = "true"
	s := newSite(t, d)
	s.keeps()
	s.firstGoes(s.release("one"))
	ended := s.ends(s.deploy(s.release("two")), towpath.DeploymentLive)
	if !strings.Contains(ended.Outcome, "too few of 50 to judge; the command: it passed") {
		t.Errorf("it is live: %q", ended.Outcome)
	}
}

func TestACommandThatCannotSayDecidesNothing(t *testing.T) {
	t.Parallel()
	d := watched(3 * time.Second)
	d.Watch.Command = "echo the shop is closed; exit 75"
	s := newSite(t, d)
	s.keeps()
	s.firstGoes(s.release("one"))
	ended := s.ends(s.deploy(s.release("two")), towpath.DeploymentLive)
	if !strings.Contains(ended.Outcome, "the command: it cannot say: the shop is closed") {
		t.Errorf("it is live: %q", ended.Outcome)
	}
}

// Nobody asks but the keeper.
func TestAReleaseThatAnswersTheProbeWithErrorsGoesBack(t *testing.T) {
	t.Parallel()
	d := watched(time.Hour)
	d.Watch.Probe, d.Watch.Minimum = "/checkout", 20
	s := newSite(t, d)
	s.keeps()
	s.firstGoes(s.release("one"))
	ended := s.ends(s.deploy(s.release("broken by the new carts")), towpath.DeploymentReturned)
	if !strings.Contains(ended.Outcome, " requests failed (limit 1%") {
		t.Errorf("the reason is %q", ended.Outcome)
	}
}

func TestAProbeIsEnoughToJudgeAReleaseThatNobodyAsks(t *testing.T) {
	t.Parallel()
	d := watched(6 * time.Second)
	d.Watch.Probe, d.Watch.Minimum, d.Watch.P99 = "/", 10, 5*time.Second
	s := newSite(t, d)
	s.keeps()
	s.firstGoes(s.release("one"))
	ended := s.ends(s.deploy(s.release("two")), towpath.DeploymentLive)
	if !strings.Contains(ended.Outcome, "watched for 6s: 0% of ") {
		t.Errorf("it is live: %q", ended.Outcome)
	}
}
