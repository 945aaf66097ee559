//go:build unix

package keeper_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/keeper"
)

var wish = keeper.Wish{Environment: "shop/production", By: "root on web-1", Reason: "carts are empty"}

// goesBack goes back without the server, which has to come to its end.
func (s *site) goesBack() keeper.Ended {
	s.t.Helper()
	ended, err := goBack(s.t.Context(), s.setup, wish, nil)
	if err != nil {
		s.t.Fatalf("going back: %v", err)
	}
	return ended
}

// backProcess is a verb of its own, to be killed.
func (s *site) backProcess() *exec.Cmd {
	s.t.Helper()
	encoded, err := json.Marshal(s.setup)
	if err != nil {
		s.t.Fatal(err)
	}
	command := exec.Command(os.Args[0], "back", string(encoded))
	command.Stderr = s.t.Output()
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { kill(command) })
	return command
}

// reconciles waits until the server's record has a release live and nothing under way.
func (s *site) reconciles(release int) towpath.Environment {
	s.t.Helper()
	until(s.t, fmt.Sprintf("the server knows that release %d is live", release), func() bool {
		e, _ := s.now()
		return e.Live.Number == release && e.Goal == e.Live && e.Deployment == nil
	})
	e, _ := s.now()
	return e
}

// rolledBack are the rollbacks that the server has recorded.
func (s *site) rolledBack() (found []towpath.Deployment) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, d := range s.deployments {
		if d.Cause == towpath.CauseRollback {
			found = append(found, d)
		}
	}
	return found
}

func TestAKeeperGoesBackWithoutItsServerAndTheServerFollows(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	s.goes(s.release("one"))
	s.goes(s.release("two"))
	load := s.load(4)
	s.setDeaf(true)
	var told []string
	ended, err := goBack(t.Context(), s.setup, wish, func(p keeper.Progress) { told = append(told, p.Step) })
	if err != nil || !ended.Serves || ended.To != 1 || ended.Environment != "shop/production" {
		t.Fatalf("it ended as %+v, %v", ended, err)
	}
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	if !slices.ContainsFunc(told, func(step string) bool { return strings.HasPrefix(step, "shift") }) {
		t.Errorf("it was told of %q", told)
	}
	if len(s.standing()) != 4 {
		t.Errorf("the side that was left does not stand by: %q", s.standing())
	}
	s.setDeaf(false)
	e := s.reconciles(1)
	load.mustBeFlawless(t)
	rolled := s.rolledBack()
	if len(rolled) != 1 || rolled[0].State != towpath.DeploymentLive || rolled[0].By != wish.By || rolled[0].Reason != wish.Reason {
		t.Errorf("the server has recorded %+v", rolled)
	}
	if e.Pin == nil || e.Pin.From.Number != 2 || e.Pin.By != wish.By {
		t.Errorf("pinned by %+v", e.Pin)
	}
	s.goes(s.release("three"))
}

func TestWithoutAKeeperTheVerbGoesBackItself(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	stop := s.keeps()
	s.goes(s.release("one"))
	s.goes(s.release("two"))
	stop()
	s.setDeaf(true)
	load := s.load(4)
	s.goesBack()
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	s.setDeaf(false)
	s.keeps()
	s.reconciles(1)
	load.mustBeFlawless(t)
}

func TestADirectRollbackTurnsADeploymentBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(time.Hour))
	s.keeps()
	s.firstGoes(s.release("one"))
	id := s.deploy(s.release("two"))
	until(t, "the new release takes the traffic", func() bool { return s.says() == "two" })
	s.hears("watch: ")
	s.setDeaf(true)
	load := s.load(4)
	if ended := s.goesBack(); !ended.Serves || ended.To != 1 {
		t.Errorf("it ended as %+v", ended)
	}
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	s.setDeaf(false)
	d := s.ends(id, towpath.DeploymentReturned)
	if !strings.Contains(d.Outcome, wish.By) {
		t.Errorf("it ended because %q", d.Outcome)
	}
	s.reconciles(1)
	load.mustBeFlawless(t)
}

func TestAWishAtTheServerCountsOnceTheDirectRollbackIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	s.goes(s.release("one"))
	s.goes(s.release("two"))
	s.setDeaf(true)
	s.hearsNothing(2)
	id := s.deploy(s.release("three")) // of which the keeper hears later
	s.goesBack()
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	s.setDeaf(false)
	if d := s.ends(id, towpath.DeploymentLive); d.From.Number != 1 {
		t.Errorf("it began from release %d", d.From.Number)
	}
	if said := s.says(); said != "three" {
		t.Errorf("the proxy's answer is %q", said)
	}
}

// The keeper was killed before it wrote down what it had moved the traffic to.
func TestADirectRollbackGoesBackFromWhatServes(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	stop := s.keeps()
	one, two := s.release("one"), s.release("two")
	s.goes(one)
	s.goes(two)
	s.ends(s.rollback(), towpath.DeploymentLive)
	until(t, "the keeper has written down what is live", func() bool { return s.isBack(one) })
	order := filepath.Join(s.DataDir, "keeper", "shop+production", "order")
	written, err := os.ReadFile(order)
	if err != nil {
		t.Fatal(err)
	}
	s.goes(two)
	stop()
	if err := os.WriteFile(order, written, 0o600); err != nil {
		t.Fatal(err)
	}
	s.goesBack()
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	s.keeps()
	if e := s.reconciles(1); e.Pin == nil || e.Pin.From.Number != 2 {
		t.Errorf("pinned by %+v", e.Pin)
	}
}

func TestADirectRollbackThatIsKilledAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	worker := s.process()
	one, two := s.release("one"), s.release("two")
	s.goes(one)
	load := s.load(4)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for n := range 8 {
		s.goes(two)
		before := len(s.rolledBack())
		s.setDeaf(true)
		byVerb := n%2 == 0
		if byVerb {
			kill(worker) // so that the verb performs itself
		}
		back := s.backProcess()
		<-time.After(time.Duration(chance.IntN(120)) * time.Millisecond) // a moment in the rollback, by chance
		if byVerb {
			kill(back)
		} else {
			kill(worker)
		}
		s.goesBackAtLast(one)
		s.setDeaf(false)
		worker = s.process()
		s.reconciles(1)
		if rolled := len(s.rolledBack()); rolled != before+1 {
			t.Errorf("%d rollbacks are recorded, not one more than %d", rolled, before)
		}
		kill(back)
	}
	load.mustBeFlawless(t)
	kill(worker)
}

// goesBackAtLast gives the order again as often as it says that it is not over.
func (s *site) goesBackAtLast(to towpath.Release) {
	s.t.Helper()
	until(s.t, "it went back", func() bool {
		if s.says() == to.Title && s.isBack(to) {
			return true
		}
		_, err := goBack(s.t.Context(), s.setup, wish, nil)
		if err != nil {
			s.t.Logf("again: %v", err)
		}
		return s.says() == to.Title
	})
}

// isBack says that the order on the disk has a release live, and nothing under way.
func (s *site) isBack(to towpath.Release) bool {
	content, err := os.ReadFile(filepath.Join(s.DataDir, "keeper", "shop+production", "order"))
	if err != nil {
		s.t.Error(err)
	}
	var stored struct{ Environment towpath.Environment }
	if err := json.Unmarshal(content, &stored); err != nil {
		s.t.Error(err)
	}
	return stored.Environment.Live.Number == to.Number && stored.Environment.Deployment == nil
}

func TestADirectRollbackSaysWhyItCannotBe(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Strategy.Standby = time.Millisecond
	s := newSite(t, d)
	refused := func(what string, w keeper.Wish, told ...string) {
		t.Helper()
		_, err := goBack(t.Context(), s.setup, w, nil)
		var said *towpath.Error
		if !errors.As(err, &said) || said.Hint == "" {
			t.Errorf("%s: %#v", what, err)
			return
		}
		for _, text := range told {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is not told: %v", what, text, err)
			}
		}
	}
	refused("no worker", wish, "no worker", s.DataDir)
	stop := s.keeps()
	s.goes(s.release("one"))
	refused("unknown", keeper.Wish{Environment: "staging"}, "staging", "stored")
	refused("nothing before", wish, "no earlier good release")
	s.goes(s.release("two"))
	until(t, "nothing is left of the first", func() bool { return len(s.standing()) == 2 })
	stop()
	packs, err := filepath.Glob(filepath.Join(s.DataDir, "keeper", "trees", "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	for _, path := range packs {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	refused("no files", wish, "files of release 1", "not on this machine")
	if said := s.says(); said != "two" {
		t.Errorf("the proxy's answer is %q", said)
	}
}
