//go:build unix

package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/proxy/control"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// onItsOwn makes leases short, so that a keeper that hears nothing is soon on its own.
func (s *site) onItsOwn() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.lease = time.Second
}

// hearsNothing waits until the keeper has called in vain so often.
func (s *site) hearsNothing(calls int) {
	s.t.Helper()
	s.mutex.Lock()
	before := s.unheard
	s.mutex.Unlock()
	until(s.t, "the keeper has called in vain", func() bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return s.unheard >= before+calls
	})
}

func TestAKeeperAloneGoesBackFromAReleaseThatFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(time.Hour))
	s.onItsOwn()
	s.keeps()
	s.firstGoes(s.release("one"))
	two := s.release("two")
	id := s.deploy(two)
	s.hears("watch: ")
	s.setDeaf(true)
	if err := os.WriteFile(filepath.Join(s.serving(two).Spec.Dir, "sickness"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the old release takes the traffic back", func() bool { return s.says() == "one" })
	if left := s.standing(); len(left) != 4 {
		t.Errorf("without the server something was taken away: %q", left)
	}
	s.setDeaf(false)
	ended := s.ends(id, towpath.DeploymentReturned)
	for _, told := range []string{"fail their probe", "503", "out of reach"} {
		if !strings.Contains(ended.Outcome, told) {
			t.Errorf("the reason does not tell %q: %s", told, ended.Outcome)
		}
	}
	if e := s.reconciles(1); e.Pin == nil || e.Pin.By != "towpath" || !slices.Contains(e.Failed, two.Ref()) {
		t.Errorf("pin %+v, failed %v", e.Pin, e.Failed)
	}
}

func TestAKeeperAloneGoesBackFromAReleaseThatItsWatchCondemns(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(time.Hour))
	s.onItsOwn()
	s.keeps()
	s.firstGoes(s.release("one"))
	id := s.deploy(s.release("broken by the new carts"))
	s.hears("watch: ")
	s.setDeaf(true)
	load := s.load(2)
	until(t, "the old release takes the traffic back", func() bool { return s.says() == "one" })
	load.end()
	s.setDeaf(false)
	if ended := s.ends(id, towpath.DeploymentReturned); !strings.Contains(ended.Outcome, "requests failed") {
		t.Errorf("it ended because %q", ended.Outcome)
	}
}

func TestAKeeperAloneLeavesAHealthyDeploymentToItsServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(4*time.Second))
	s.onItsOwn()
	s.keeps()
	s.firstGoes(s.release("one"))
	id := s.deploy(s.release("two"))
	s.hears("watch: ")
	load := s.load(2)
	s.setDeaf(true)
	before := s.epochsSeen()
	s.hearsNothing(8) // over several seconds, long after the lease
	if said, left := s.says(), s.standing(); said != "two" || len(left) != 4 {
		t.Errorf("%q serves, and there is %q", said, left)
	}
	if after := s.epochsSeen(); after != before {
		t.Errorf("the epoch is %s after %s", after, before)
	}
	s.setDeaf(false)
	s.ends(id, towpath.DeploymentLive)
	load.mustBeFlawless(t)
}

// epochsSeen is the highest that target and proxy have seen.
func (s *site) epochsSeen() towpath.Epoch {
	s.t.Helper()
	t, b := s.orders()
	of, err := t.Observe(s.t.Context())
	by, unread := b.Observe(s.t.Context())
	if err := errors.Join(err, unread); err != nil {
		s.t.Fatal(err)
	}
	return deploy.Merge(of, by, true).Epoch
}

func TestAMachineThatStartsWithoutItsServerServesAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.onItsOwn()
	worker := s.process()
	one := s.release("one")
	s.goes(one)
	before := s.epochsSeen()
	s.setDeaf(true)
	kill(worker)
	s.loses(one)
	if said := s.says(); said == "one" {
		t.Fatal("it serves without its instance")
	}
	worker = s.process()
	until(t, "the release serves again", func() bool { return s.says() == "one" })
	until(t, "it is brought up under a higher epoch", func() bool { return s.epochsSeen().Number > before.Number })
	s.setDeaf(false)
	s.goes(s.release("two"))
	kill(worker)
}

func TestAMachineThatStartsWithoutItsServerLeavesTheDeploymentForIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(4*time.Second))
	s.onItsOwn()
	worker := s.process()
	one := s.release("one")
	s.firstGoes(one)
	two := s.release("two")
	id := s.deploy(two)
	s.hears("watch: ")
	s.setDeaf(true)
	kill(worker)
	s.loses(one)
	s.loses(two)
	worker = s.process()
	until(t, "the live release serves again", func() bool { return s.says() == "one" })
	s.setDeaf(false)
	s.ends(id, towpath.DeploymentLive)
	if said := s.says(); said != "two" {
		t.Errorf("the proxy's answer is %q", said)
	}
	kill(worker)
}

// loses takes an instance from the machine, with its supervisor and all that is known of it, as a disk that lost its last
// writes would.
func (s *site) loses(r towpath.Release) {
	s.t.Helper()
	e := s.serving(r)
	for _, p := range []process.Identity{e.State.Supervisor, e.State.Child} {
		if err := process.Signal(p, syscall.SIGKILL); err != nil {
			s.t.Fatal(err)
		}
	}
	until(s.t, "they are dead", func() bool {
		return !process.Alive(e.State.Supervisor) && !process.Alive(e.State.Child)
	})
	if err := os.RemoveAll(e.Dir); err != nil {
		s.t.Fatal(err)
	}
}

// A keeper that is frozen past its lease, while another takes over, and resumed, changes nothing: not at the proxy, not
// at a supervisor, however often.
func TestAKeeperThatWasFrozenChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.onItsOwn()
	releases := []towpath.Release{s.release("one"), s.release("two")}
	worker := s.process()
	s.goes(releases[0])
	load := s.load(2)
	for n := range 6 {
		next := releases[(n+1)%2]
		id := s.deploy(next)
		<-time.After(time.Duration(5*n*n) * time.Millisecond) // ever later in the deployment
		if err := worker.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		successor := s.successor()
		s.ends(id, towpath.DeploymentLive)
		if said := s.says(); said != next.Title {
			t.Fatalf("the proxy's answer is %q", said)
		}
		before, table := s.epochsSeen(), s.table()
		if err := worker.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		s.hasCalled(worker.Process.Pid)
		if after := s.epochsSeen(); after.Number > before.Number+1 {
			t.Errorf("the epoch is %s after %s", after, before)
		}
		if after := s.table(); after != table {
			t.Errorf("the proxy's table changed:\n%s\n%s", table, after)
		}
		kill(worker)
		successor()
		worker = s.process()
	}
	load.mustBeFlawless(t)
	kill(worker)
}

var _ = control.Options{}
var _ = supervise.Entry{}
var _ = json.Marshal
var _ context.Context
