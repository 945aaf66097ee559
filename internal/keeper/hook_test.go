//go:build unix

package keeper_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

// hooked is an environment whose hooks write down what they see, in a file that they answer with the name of.
func hooked(t *testing.T, more towpath.HooksDefinition) (d towpath.EnvironmentDefinition, diary string) {
	t.Helper()
	diary = filepath.Join(t.TempDir(), "diary")
	note := `echo "$TOWPATH_HOOK of $TOWPATH_RELEASE beside $TOWPATH_LIVE_RELEASE: $(cat says), $GREETING, $PASSWORD" >> ` + diary
	d = blueGreen()
	d.Hooks = towpath.HooksDefinition{Before: note + more.Before, After: note + more.After, Failed: note + more.Failed}
	return d, diary
}

func readDiary(t *testing.T, diary string) []string {
	t.Helper()
	content, err := os.ReadFile(diary)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func TestHooksRunOnceAroundADeployment(t *testing.T) {
	t.Parallel()
	d, diary := hooked(t, towpath.HooksDefinition{})
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	s.goes(s.release("two"))
	s.ends(s.rollback(), towpath.DeploymentLive) // which runs none
	want := []string{
		"before of 1 beside 0: one, kind regards, open sesame", "after of 1 beside 0: one, kind regards, open sesame",
		"before of 2 beside 1: two, kind regards, open sesame", "after of 2 beside 1: two, kind regards, open sesame",
	}
	if got := readDiary(t, diary); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the hooks wrote %q", got)
	}
}

func TestAHookThatFailsTurnsTheDeploymentBackBeforeAnythingIsPlaced(t *testing.T) {
	t.Parallel()
	d, diary := hooked(t, towpath.HooksDefinition{Before: `; echo the bucket is missing; ! grep -q two says`, Failed: "; exit 9"})
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	standing := len(s.standing())
	ended := s.ends(s.deploy(s.release("two")), towpath.DeploymentReturned)
	for _, told := range []string{"hook before", "exit status 1", "the bucket is missing"} {
		if !strings.Contains(ended.Outcome, told) {
			t.Errorf("the reason does not tell %q: %s", told, ended.Outcome)
		}
	}
	if got := readDiary(t, diary); len(got) != 4 || !strings.HasPrefix(got[3], "failed of 2 beside 1") {
		t.Errorf("the hooks wrote %q", got)
	}
	if receipt, _ := ended.Receipt(towpath.HookFailed); receipt.State != towpath.HookBroke || !strings.Contains(receipt.Problem, "9") {
		t.Errorf("the last hook's receipt is %+v", receipt)
	}
	if s.says() != "one" || len(s.standing()) != standing {
		t.Errorf("%q serves, and there is %q", s.says(), s.standing())
	}
}

func TestAHookWhoseKeeperIsKilledIsNotRunAgainAndWaitsForAPerson(t *testing.T) {
	t.Parallel()
	d, diary := hooked(t, towpath.HooksDefinition{After: `; grep -q one says || while test -e says; do sleep 0.1; done`})
	s := newSite(t, d)
	keeper := s.process()
	s.goes(s.release("one"))
	load := s.load(2)
	id := s.deploy(s.release("two"))
	until(t, "the hook runs", func() bool { return len(readDiary(t, diary)) == 4 })
	kill(keeper)
	s.process()
	s.hears("nobody knows what it has done")
	waits := s.deployment(id)
	if receipt, _ := waits.Receipt(towpath.HookAfter); waits.State != towpath.DeploymentRunning || receipt.State != towpath.HookUnknown {
		t.Errorf("the deployment is %s: %s; its hook is %s", waits.State, waits.Outcome, receipt.State)
	}
	s.rollback()
	s.ends(id, towpath.DeploymentReturned)
	if got := readDiary(t, diary); len(got) != 5 || !strings.HasPrefix(got[4], "failed of 2") {
		t.Errorf("the hooks wrote %q", got)
	}
	load.mustBeFlawless(t)
}

func TestARollbackCutsAHookOff(t *testing.T) {
	t.Parallel()
	d, diary := hooked(t, towpath.HooksDefinition{Before: `; grep -q one says || while test -e says; do sleep 0.1; done`})
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	id := s.deploy(s.release("two"))
	until(t, "the hook runs", func() bool { return len(readDiary(t, diary)) == 3 })
	began := time.Now()
	s.rollback()
	ended := s.ends(id, towpath.DeploymentReturned)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if receipt, _ := ended.Receipt(towpath.HookBefore); receipt.State != towpath.HookBroke {
		t.Errorf("the hook's receipt is %+v", receipt)
	}
}
