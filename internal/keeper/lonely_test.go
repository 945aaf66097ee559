//go:build unix

package keeper_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	for name, isWiped := range map[string]bool{"after a power cut": false, "after the disk lost writes": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, blueGreen())
			s.onItsOwn()
			worker := s.process()
			one := s.release("one")
			s.goes(one)
			until(t, "the keeper has written down what is live", func() bool { return s.isBack(one) })
			before := s.epochsSeen()
			s.setDeaf(true)
			kill(worker)
			s.loses(one, isWiped)
			if said := s.says(); said == "one" {
				t.Fatal("it serves without its instance")
			}
			worker = s.process()
			until(t, "the release serves again", func() bool { return s.says() == "one" })
			if isWiped && s.epochsSeen().Number <= before.Number {
				t.Errorf("it was started anew under the epoch %s", s.epochsSeen())
			}
			s.setDeaf(false)
			s.goes(s.release("two"))
			kill(worker)
		})
	}
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
	s.loses(one, true)
	s.loses(two, true)
	worker = s.process()
	until(t, "the live release takes the traffic", func() bool { return strings.Contains(s.effects(), "r1-1 at 100") })
	until(t, "the live release serves again", func() bool { return s.says() == "one" })
	s.setDeaf(false)
	s.ends(id, towpath.DeploymentLive)
	if said := s.says(); said != "two" {
		t.Errorf("the proxy's answer is %q", said)
	}
	kill(worker)
}

// loses ends an instance and its supervisor as a power cut would, which may take what is known of them as well.
func (s *site) loses(r towpath.Release, isWiped bool) {
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
	if !isWiped {
		return
	}
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
	s.isKeptBy(s.process(), func() { s.goes(releases[0]) })
	load := s.load(2)
	for n := range 8 {
		next, frozen := releases[(n+1)%2], s.process()
		until(t, "it is kept", func() bool { e, _ := s.now(); return e.Keeper.Worker != "" })
		id := s.deploy(next)
		<-time.After(time.Duration(4*n*n) * time.Millisecond) // ever later in the deployment
		s.signal(frozen, syscall.SIGSTOP)
		s.isTakenOver()
		s.isKeptBy(s.successor(), func() {
			until(t, "the successor has taken over", func() bool {
				s.mutex.Lock()
				defer s.mutex.Unlock()
				return !s.barred[s.holder]
			})
			began := time.Now()
			until(t, "it is over, or waits for a lock that the frozen one holds", func() bool {
				return s.deployment(id).State.IsFinal() || time.Since(began) > 10*time.Second
			})
			before := s.effects()
			if !s.deployment(id).State.IsFinal() {
				before = ""
			}
			s.signal(frozen, syscall.SIGCONT)
			s.leaves(frozen)
			s.ends(id, towpath.DeploymentLive)
			if after := s.effects(); before != "" && after != before {
				t.Errorf("the one that was frozen has changed\n%s\nto\n%s", before, after)
			}
		})
		if said := s.says(); said != next.Title {
			t.Fatalf("the proxy's answer is %q", said)
		}
	}
	load.mustBeFlawless(t)
}

func (s *site) signal(keeper *exec.Cmd, signal syscall.Signal) {
	s.t.Helper()
	if err := keeper.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// leaves has a keeper end, which it does once nothing is in its hands any more.
func (s *site) leaves(keeper *exec.Cmd) {
	s.t.Helper()
	s.signal(keeper, syscall.SIGTERM)
	if err := keeper.Wait(); err != nil {
		s.t.Error(err)
	}
}

// isKeptBy has a keeper end after something was done with it.
func (s *site) isKeptBy(keeper *exec.Cmd, do func()) {
	s.t.Helper()
	do()
	s.leaves(keeper)
}

// isTakenOver bars whoever keeps the environment now.
func (s *site) isTakenOver() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.barred[s.holder] = true
}

// successor is a keeper that has a folder of its own, and the same machine.
func (s *site) successor() *exec.Cmd {
	s.t.Helper()
	other := *s
	other.Instances, other.DataDir = s.DataDir, s.DataDir+"-successor"
	return other.process()
}

// effects is all that an order could change: the proxy's table and what the supervisors were told.
func (s *site) effects() string {
	s.t.Helper()
	proxy := control.New(control.Options{DataDir: s.ProxyDir})
	defer proxy.Close()
	route, err := proxy.Route(s.t.Context(), "shop/production")
	if err != nil {
		s.t.Fatal(err)
	}
	lines := []string{fmt.Sprint("proxy ", route.Epoch), fmt.Sprint(s.standing())}
	for _, b := range route.Backends {
		lines = append(lines, fmt.Sprint(b.ID, " at ", b.Weight))
	}
	entries, err := supervise.List(filepath.Join(s.root(), "run"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		lines = append(lines, fmt.Sprint(e.Spec.Instance, " ", e.Want, " ", e.State.Epoch, " ", e.State.Child))
	}
	return strings.Join(lines, "\n")
}
