//go:build unix

package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	balancer "github.com/towpath-cd/towpath/internal/balancer/proxy"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
	target "github.com/towpath-cd/towpath/internal/target/process"
)

// process starts a keeper of its own, to be killed.
func (s *site) process() *exec.Cmd {
	s.t.Helper()
	encoded, err := json.Marshal(s.setup)
	if err != nil {
		s.t.Fatal(err)
	}
	command := exec.Command(os.Args[0], "keep", string(encoded))
	command.Stderr = s.t.Output()
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { kill(command) })
	return command
}

func kill(command *exec.Cmd) {
	_ = command.Process.Kill()
	_ = command.Wait()
}

func TestAKeeperThatIsKilledAnywhereGoesOnWhereItWas(t *testing.T) {
	d := blueGreen()
	d.Strategy.Standby = time.Second
	s := newSite(t, d)
	keeper := s.process()
	s.goes(s.release("release 1"))
	load := s.load(4)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for n := range 10 {
		id := s.deploy(s.release(fmt.Sprint("release ", n+2)))
		for range 2 {
			<-time.After(time.Duration(chance.IntN(250)) * time.Millisecond) // a moment in the deployment, by chance
			kill(keeper)
			keeper = s.process()
		}
		s.ends(id, towpath.DeploymentLive)
		if said, want := s.says(), fmt.Sprint("release ", n+2); said != want {
			t.Fatalf("%s is live, and the proxy's answer is %q", want, said)
		}
	}
	load.mustBeFlawless(t)
	s.clearsUp()
	kill(keeper)
}

func TestAKeeperThatEndsGivesItsEnvironmentsBackAndTheyServeOn(t *testing.T) {
	s := newSite(t, blueGreen())
	stop := s.keeps()
	s.goes(s.release("one"))
	before, _ := s.now()
	stop()
	if e, _ := s.now(); e.Keeper.Worker != "" || e.UnattendedSince.IsZero() {
		t.Errorf("it is still kept: %+v", e.Keeper)
	}
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
	s.keeps()
	s.goes(s.release("two"))
	if e, _ := s.now(); e.Epoch.Number <= before.Epoch.Number {
		t.Errorf("the epoch is %s after %s", e.Epoch, before.Epoch)
	}
}

func TestAKeeperAloneBeginsNothing(t *testing.T) {
	s := newSite(t, blueGreen())
	s.keeps()
	s.goes(s.release("one"))
	s.setDeaf(true)
	id := s.deploy(s.release("two"))
	until(t, "the keeper has called in vain", func() bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return s.unheard > 3
	})
	if left := s.standing(); len(left) != 2 || s.says() != "one" {
		t.Errorf("something was done: %q", left)
	}
	s.setDeaf(false)
	s.ends(id, towpath.DeploymentLive)
}

// orders opens the drivers as a keeper would, to give orders of its own.
func (s *site) orders() (deploy.Driver, deploy.Driver) {
	s.t.Helper()
	e, _ := s.now()
	t, err := target.New(target.Options{
		Environment: e.Key, Definition: e.Definition, DataDir: s.DataDir, Supervise: []string{os.Args[0], "supervise"},
		Logger: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := balancer.New(balancer.Options{Environment: e.Key, Definition: e.Definition, DataDir: s.ProxyDir})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = errors.Join(t.Close(), b.Close()) })
	return t, b
}

func TestOrdersOfAnEarlierKeeperAreRefused(t *testing.T) {
	s := newSite(t, blueGreen())
	s.isKeptOnce()
	stop := s.keeps()
	one := s.release("one")
	s.goes(one)
	stop()
	now, seen := s.now()
	id := s.serving(one).Spec.Instance
	target, balancer := s.orders()
	earlier := now.Epoch
	earlier.Number--
	other := towpath.Epoch{Number: now.Epoch.Number, Holder: "another"}
	for _, epoch := range []towpath.Epoch{earlier, other} {
		for _, o := range []deploy.Operation{
			deploy.Stop{Instances: []string{id}},
			deploy.Remove{Instances: []string{id}},
			deploy.Place{Release: 1, Instances: []string{"r1-9"}},
			deploy.Shift{Weights: map[string]int{id: 0}},
			deploy.Forget{Instances: []string{"r1-9"}},
		} {
			driver := target
			if deploy.PerformerOf(o) == deploy.ByBalancer {
				driver = balancer
			}
			_, err := driver.Do(t.Context(), deploy.Order{Epoch: epoch, Operation: o, Instances: seen.Instances, Release: one})
			var stale *deploy.StaleEpoch
			if !errors.As(err, &stale) || stale.Seen != now.Epoch {
				t.Errorf("%s under %s: %v", o, epoch, err)
			}
		}
	}
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
}

func TestAKeeperWhoseEpochIsPastAsksForAnother(t *testing.T) {
	for name, ahead := range map[string]uint64{"a higher number": 1000, "the same number": 0} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, blueGreen())
			s.isKeptOnce()
			seen := towpath.Epoch{Number: s.epoch().Number + 1 + ahead, Holder: "of a server that was there before"}
			target, _ := s.orders()
			if _, err := target.Do(t.Context(), deploy.Order{Epoch: seen, Operation: deploy.Stop{}}); err != nil {
				t.Fatal(err)
			}
			s.keeps()
			s.goes(s.release("one"))
			if s.epoch().Number <= seen.Number {
				t.Errorf("the epoch is %s", s.epoch())
			}
		})
	}
}

// isKeptOnce lets a keeper come and go.
func (s *site) isKeptOnce() {
	s.t.Helper()
	before := s.epoch()
	stop := s.keeps()
	until(s.t, "the environment is kept", func() bool { return s.epoch() != before })
	stop()
}

func (s *server) epoch() towpath.Epoch {
	e, _ := s.now()
	return e.Epoch
}

func TestSecretsReachTheInstanceAndNothingElse(t *testing.T) {
	s := newSite(t, blueGreen())
	s.keeps()
	one := s.release("one")
	s.goes(one)
	response, err := http.Get("http://" + s.address + "/environment")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	told, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(told), "PASSWORD=open sesame\n") || strings.Contains(string(told), "PROXY_KEY") {
		t.Errorf("the instance has %q, %v", told, err)
	}
	spec := filepath.Join(s.serving(one).Dir, "spec.json")
	if info, err := os.Stat(spec); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v %v", spec, info.Mode(), err)
	}
	err = filepath.WalkDir(filepath.Join(s.DataDir, "keeper"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "open sesame") {
			t.Errorf("%s tells the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestASlowRequestOutlivesTheSwitch(t *testing.T) {
	d := blueGreen()
	d.Drain.Requests = 5 * time.Minute // as long as the test takes to see it
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	slow, enough := make(chan string, 1), filepath.Join(t.TempDir(), "enough")
	go func() {
		response, err := http.Get("http://" + s.address + "/slow?until=" + enough)
		if err != nil {
			slow <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		slow <- fmt.Sprint(string(body), err)
	}()
	proxy := control.New(control.Options{DataDir: s.ProxyDir})
	defer proxy.Close()
	until(t, "the slow request is in flight", func() bool {
		route, err := proxy.Route(context.Background(), "shop/production")
		return err == nil && len(route.Backends) > 0 && route.Backends[0].InFlight.Requests > 0
	})
	id := s.deploy(s.release("two"))
	until(t, "the server knows while the old side drains since when it has no traffic", func() bool {
		e, _ := s.now()
		return len(e.Idle) == 1 && len(slow) == 0
	})
	s.hears("drain")
	if err := os.WriteFile(enough, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.ends(id, towpath.DeploymentLive)
	if said := <-slow; said != "one, slowly<nil>" {
		t.Errorf("the slow request was answered with %q", said)
	}
}
