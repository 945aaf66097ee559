package dns

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/dns/dnstest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestAShiftMovesTheName(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	if seen := n.saw(d, ""); !seen.Renewed {
		t.Error("it has notes already")
	}
	one, two, six := instance(1, 1, "192.0.2.1:8000"), instance(2, 2, "192.0.2.2:8000"), instance(2, 3, "[2001:db8::3]:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	n.answers("192.0.2.1 for 60")
	seen := n.saw(d, "r1-1=192.0.2.1:8000:100:false")
	if seen.Epoch != epoch || seen.Renewed || seen.Address != "www.shop.test:8000" {
		t.Errorf("%+v", seen)
	}
	receipt := n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 0, two.ID: 100, six.ID: 100}}, one, two, six)
	n.answers("192.0.2.2 for 60", "2001:db8::3 for 60")
	if !strings.Contains(receipt.Detail, "old addresses for up to 1m0s") {
		t.Errorf("%q", receipt.Detail)
	}
	n.saw(n.open(), "r1-1=192.0.2.1:8000:0:false r2-2=192.0.2.2:8000:100:false r2-3=[2001:db8::3]:8000:100:false")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one) // what is not named has no share
	n.answers("192.0.2.1 for 60")
	n.does(d, deploy.Forget{Instances: []string{two.ID, six.ID}}, two, six)
	n.does(d, deploy.Forget{Instances: []string{two.ID}}, two) // again, as after a crash
	n.saw(d, "r1-1=192.0.2.1:8000:100:false")
	if other := n.Addresses(dnstest.Other); len(other) != 1 {
		t.Errorf("another name has %v", other)
	}
}

func TestWhatServesIsNeitherDrainedNorForgotten(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	one := instance(1, 1, "192.0.2.1:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	for _, o := range []deploy.Operation{
		deploy.Drain{Instances: []string{one.ID}, Within: patience}, deploy.Forget{Instances: []string{one.ID}},
	} {
		if _, err := n.try(d, epoch, o, one); !is[*deploy.Retryable](err) {
			t.Errorf("%s: %v", o, err)
		}
	}
	n.answers("192.0.2.1 for 60")
}

func TestADrainLastsUntilCachesHaveForgotten(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	one, two := instance(1, 1, "192.0.2.1:8000"), instance(2, 2, "192.0.2.2:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100, two.ID: 0}}, one, two)
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 0, two.ID: 100}}, one, two)
	n.now = n.now.Add(90*time.Second - 50*time.Millisecond)
	began := time.Now()
	n.does(d, deploy.Drain{Instances: []string{one.ID}, Within: 90 * time.Second}, one)
	if waited := time.Since(began); waited < 50*time.Millisecond || waited > patience {
		t.Errorf("the last 50 ms took %s", waited)
	}
	n.now = n.now.Add(time.Hour)
	n.does(d, deploy.Drain{Instances: []string{one.ID}, Within: 90 * time.Second}, one)
	three := instance(3, 3, "192.0.2.3:8000") // which never had a share
	n.does(d, deploy.Shift{Weights: map[string]int{two.ID: 100, three.ID: 0}}, two, three)
	n.does(d, deploy.Drain{Instances: []string{three.ID}, Within: time.Hour}, three)
	n.saw(d, "r1-1=192.0.2.1:8000:0:false r2-2=192.0.2.2:8000:100:false r3-3=192.0.2.3:8000:0:true")
}

// The name was somebody else's before, with a long time to live: all is as it was until the last cache has the short one.
func TestALongerTimeToLiveIsShortenedAndWaitedOutBeforeTrafficMoves(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	n.Set(t, "www.shop.test.", 3600, "192.0.2.1")
	n.keeps(n.saw(d, "192.0.2.1=192.0.2.1:100:false"), time.Hour, time.Time{})

	two := instance(2, 2, "192.0.2.2:8000")
	stranger := towpath.Instance{ID: "192.0.2.1", Address: "192.0.2.1"} // as it was seen
	shift := deploy.Shift{Weights: map[string]int{stranger.ID: 0, two.ID: 100}}
	n.isTooEarly(d, shift, stranger, two)
	n.answers("192.0.2.1 for 3600")
	n.does(d, deploy.Shorten{TTL: time.Minute})
	n.does(d, deploy.Shorten{TTL: time.Minute}) // again, as after a crash
	until := n.now.Add(time.Hour)
	for range 2 {
		n.answers("192.0.2.1 for 60")
		n.keeps(n.saw(d, "192.0.2.1=192.0.2.1:100:false"), time.Minute, until)
		n.isTooEarly(d, shift, stranger, two)
		n.now = n.now.Add(40 * time.Minute)
		d = n.open() // a keeper that started anew knows it all the same
	}
	n.does(d, shift, stranger, two)
	n.answers("192.0.2.2 for 60")
}

// Clients of one that does not answer have nothing to lose; others come to no harm by a further address.
func TestWhatFailsLosesItsShareHoweverLongItIsKept(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	one, two := instance(1, 1, "192.0.2.1:8000"), instance(1, 2, "192.0.2.2:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	n.Set(t, "www.shop.test.", 3600, "192.0.2.1")
	both := deploy.Shift{Weights: map[string]int{one.ID: 100, two.ID: 100}}
	n.does(d, both, one, two)
	n.answers("192.0.2.1 for 60", "192.0.2.2 for 60")
	n.keeps(n.saw(d, "r1-1=192.0.2.1:8000:100:false r1-2=192.0.2.2:8000:100:false"), time.Minute, n.now.Add(time.Hour))
	alone := deploy.Shift{Weights: map[string]int{one.ID: 0, two.ID: 100}}
	n.isTooEarly(d, alone, one, two)
	one.Health = towpath.HealthFailing
	n.does(d, alone, one, two)
	n.answers("192.0.2.2 for 60")
}

func (n *named) isTooEarly(d *Driver, o deploy.Operation, instances ...towpath.Instance) {
	n.Helper()
	if _, err := n.try(d, epoch, o, instances...); !is[*deploy.Retryable](err) {
		n.Fatalf("%s: %v", o, err)
	}
}

// keeps checks for how long clients keep what they are told, and until when some keep it longer.
func (n *named) keeps(seen towpath.Observation, ttl time.Duration, until time.Time) {
	n.Helper()
	if c := seen.Cached; c == nil || c.TTL != ttl || !c.Until.Equal(until) {
		n.Errorf("clients keep it for %+v, not %s, until %s", c, ttl, until)
	}
}

func TestAnOrderOfAStaleEpochIsRefused(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	one := instance(1, 1, "192.0.2.1:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	for _, past := range []towpath.Epoch{{Number: 6, Holder: epoch.Holder}, {Number: 7, Holder: "another"}} {
		_, err := n.try(d, past, deploy.Shift{Weights: map[string]int{one.ID: 0}}, one)
		if stale, is := errors.AsType[*deploy.StaleEpoch](err); !is || stale.Seen != epoch {
			t.Errorf("%s: %v", past, err)
		}
	}
	n.answers("192.0.2.1 for 60")
}

// An order that was read before another keeper's update, and is sent after it, changes nothing.
func TestAnUpdateFromWhatIsNoLongerSoIsRefused(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	one, two := instance(1, 1, "192.0.2.1:8000"), instance(2, 2, "192.0.2.2:8000")
	n.does(d, deploy.Shift{Weights: map[string]int{one.ID: 100}}, one)
	old, err := d.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	later := towpath.Epoch{Number: 8, Holder: "successor"}
	if _, err := n.try(d, later, deploy.Shift{Weights: map[string]int{two.ID: 100}}, two); err != nil {
		t.Fatal(err)
	}
	if err := d.server.update(t.Context(), d.change(old, old)); !errors.Is(err, errChanged) {
		t.Errorf("%v", err)
	}
	n.answers("192.0.2.2 for 60")
}

func TestTheLastEpochWins(t *testing.T) {
	n := newNamed(t)
	const last = 9
	var keepers sync.WaitGroup
	failed := make(chan error, last+1)
	for number := range uint64(last + 1) {
		d := n.open()
		keepers.Go(func() {
			i := instance(1, int(number)+1, fmt.Sprintf("192.0.2.%d:8000", number+1))
			for {
				_, err := n.try(d, towpath.Epoch{Number: number, Holder: "keeper"}, deploy.Shift{Weights: map[string]int{i.ID: 100}}, i)
				if is[*deploy.Retryable](err) {
					continue // others were faster, time and again
				}
				if err != nil && (number == last || !is[*deploy.StaleEpoch](err)) {
					failed <- err
				}
				return
			}
		})
	}
	keepers.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	n.answers("192.0.2.10 for 60")
}

func TestAServerThatIsAwayOrRefusesIsToldSo(t *testing.T) {
	n := newNamed(t)
	one := instance(1, 1, "192.0.2.1:8000")
	shift := deploy.Shift{Weights: map[string]int{one.ID: 100}}
	for key, hint := range map[string]string{
		"hmac-sha256:another:" + n.Secret:          "allow this key",
		"hmac-sha256:nobody:" + n.Secret:           "does it know this key",
		"hmac-sha256:towpath:d3Jvbmcgc2VjcmV0Cg==": "does it know this key",
	} {
		_, err := n.try(n.openWith(key), epoch, shift, one)
		if !is[*deploy.Permanent](err) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", key, err)
		}
	}
	d := n.open()
	n.does(d, shift, one)
	n.Stop()
	if _, err := d.Observe(t.Context()); !is[*deploy.Retryable](err) {
		t.Errorf("%v", err)
	}
	if _, err := n.try(d, epoch, shift, one); !is[*deploy.Retryable](err) {
		t.Errorf("%v", err)
	}
	n.Start(t)
	n.saw(d, "r1-1=192.0.2.1:8000:100:false") // BIND keeps updates in its journal
}

func TestANameKnowsNoPorts(t *testing.T) {
	n := newNamed(t)
	d := n.open()
	blue, green := instance(1, 1, "192.0.2.1:8001"), instance(2, 2, "192.0.2.1:8002")
	n.does(d, deploy.Shift{Weights: map[string]int{blue.ID: 100}}, blue)
	if _, err := n.try(d, epoch, deploy.Shift{Weights: map[string]int{blue.ID: 0, green.ID: 100}}, blue, green); !is[*deploy.Permanent](err) {
		t.Errorf("%v", err)
	}
	next := instance(2, 3, blue.Address) // in the place of the first
	n.does(d, deploy.Shift{Weights: map[string]int{blue.ID: 0, next.ID: 100}}, blue, next)
	n.saw(d, "r2-3=192.0.2.1:8001:100:false")
	lost := instance(3, 4, "")
	for _, o := range []deploy.Operation{deploy.Shift{Weights: map[string]int{lost.ID: 100}}, deploy.Stop{}} {
		if _, err := n.try(d, epoch, o, lost); !is[*deploy.Permanent](err) {
			t.Errorf("%s: %v", o, err)
		}
	}
	n.answers("192.0.2.1 for 60")
}

func TestKeys(t *testing.T) {
	for _, wrong := range []string{"", "secret", "hmac-sha256:towpath", "::"} {
		if _, err := ParseKey(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
