package balancertest

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func declaresWhatItCan(r *rig) {
	if got := r.driver.Can(); got != r.kind.Can {
		r.Errorf("%+v, want %+v", got, r.kind.Can)
	}
}

func nothingIsAMember(r *rig) {
	if seen := r.observe(); len(seen.Instances) != 0 {
		r.Errorf("%+v", seen.Instances)
	}
}

func aShiftIsWhole(r *rig) {
	one, two, three := r.backend(1), r.backend(2), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.serves(one)
	if got := r.traffic(one.Instance); !got.Known || !got.Member || got.Weight != deploy.FullWeight {
		r.Errorf("%+v", got)
	}
	if got := r.traffic(two.Instance); !got.Known || got.Member || got.Weight != 0 {
		r.Errorf("no member: %+v", got)
	}
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight, three: deploy.FullWeight})
	if by := r.answers(40); by[two.ID] == 0 || by[three.ID] == 0 || by[two.ID]+by[three.ID] != 40 {
		r.Errorf("%v", by)
	}
	if got := r.traffic(one.Instance); !got.Known || !got.Member || got.Weight != 0 {
		r.Errorf("it is a member without a share: %+v", got)
	}
	r.shifts(map[*backend]int{one: deploy.FullWeight, two: 0, three: 0})
	r.serves(one)
}

func weightsAreShares(r *rig) {
	one, two := r.backend(1), r.backend(2)
	for _, weight := range r.few(25, 50, 100) {
		r.shifts(map[*backend]int{one: deploy.FullWeight, two: weight})
		const count = 500
		want := count * weight / (deploy.FullWeight + weight)
		by := r.answers(count)
		if got := by[two.ID]; got < want*7/10 || got > want*13/10 || by[one.ID]+got != count {
			r.Errorf("%d of %d requests with a weight of %d, want about %d: %v", got, count, weight, want, by)
		}
		if got := r.traffic(two.Instance); got.Weight != weight {
			r.Errorf("a weight of %d is read as %+v", weight, got)
		}
	}
}

func notNamedIsNoShare(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.shifts(map[*backend]int{two: deploy.FullWeight})
	r.serves(two)
	if got := r.traffic(one.Instance); !got.Member || got.Weight != 0 {
		r.Errorf("%+v", got)
	}
}

func noAddressNoTraffic(r *rig) {
	one := r.backend(1)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	two := r.backend(2)
	two.Address = ""
	_, err := r.try(deploy.Shift{Weights: map[string]int{one.ID: 0, two.ID: deploy.FullWeight}})
	if _, is := errors.AsType[*deploy.Permanent](err); !is {
		r.Errorf("%v", err)
	}
	r.serves(one)
}

// addressMayChange asks for it of an instance without a share, as one is that was started again.
func addressMayChange(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.does(deploy.Drain{Instances: []string{one.ID}, Within: patience})
	one.moves()
	table := map[string]int{one.ID: deploy.FullWeight, two.ID: 0}
	for _, seen := range r.observe().Instances { // a balancer that knows its members by their address alone sees another
		if seen.ID != one.ID {
			table[seen.ID] = 0
		}
	}
	r.does(deploy.Shift{Weights: table})
	r.serves(one)
}

func requestsAreCounted(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.answers(10) // what is kept open afterwards is not in flight
	r.until("nothing is in flight", func() bool { return r.traffic(one.Instance).Requests == 0 })
	requests := []*held{r.holds(), r.holds()}
	if got := r.traffic(one.Instance); got.Requests != 2 {
		r.Errorf("%+v", got)
	}
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	if got := r.traffic(one.Instance); got.Requests != 2 || got.IsIdle() {
		r.Errorf("without a share: %+v", got)
	}
	one.release()
	for _, h := range requests {
		if !h.isWhole(one.ID) {
			r.Error("a request was cut")
		}
	}
	r.until("it is idle", func() bool { return r.traffic(one.Instance).IsIdle() })
}

func drainAwaitsIdle(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	h := r.holds()
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	ended := make(chan error, 1)
	go func() {
		_, err := r.try(deploy.Drain{Instances: []string{one.ID}, Within: patience})
		ended <- err
	}()
	select {
	case err := <-ended:
		r.Fatalf("the drain did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	one.release()
	r.must(<-ended)
	if !h.isWhole(one.ID) {
		r.Error("the request was cut")
	}
	if got := r.traffic(one.Instance); got.Requests != 0 {
		r.Errorf("%+v", got)
	}
}

func drainIsBounded(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	h := r.holds()
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.does(deploy.Drain{Instances: []string{one.ID}, Within: 50 * time.Millisecond})
	one.release()
	if !h.isWhole(one.ID) {
		r.Error("the request was cut")
	}
}

func whatServesStays(r *rig) {
	one := r.backend(1)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	for _, o := range []deploy.Operation{
		deploy.Drain{Instances: []string{one.ID}, Within: patience}, deploy.Forget{Instances: []string{one.ID}},
	} {
		var again *deploy.Retryable
		if _, err := r.try(o); !errors.As(err, &again) {
			r.Errorf("%s: %v", o, err)
		}
	}
	r.serves(one)
}

// streamsAreEnded leaves it to the balancer whether it takes a stream for a request until the time of those is over.
func streamsAreEnded(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	socket := r.opens()
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.does(deploy.Drain{Instances: []string{one.ID}, Within: 10 * time.Millisecond})
	if got := r.traffic(one.Instance); got.Requests+got.Streams != 1 || got.IsIdle() {
		r.Errorf("%+v", got)
	}
	if !socket.echoes() {
		r.Error("the stream was closed by a drain")
	}
	r.does(deploy.EndStreams{Instances: []string{one.ID}, Within: 10 * time.Millisecond})
	if !socket.isClosed() {
		r.Error("the stream is still open")
	}
	r.until("no stream is open", func() bool { return r.traffic(one.Instance).IsIdle() })
	r.does(deploy.EndStreams{Instances: []string{one.ID}, Within: patience})
}

func forgottenIsGone(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.does(deploy.Forget{Instances: []string{one.ID}})
	if got := r.traffic(one.Instance); !got.Known || got.Member {
		r.Errorf("%+v", got)
	}
	r.does(deploy.Forget{Instances: []string{one.ID}}) // again, as after a crash
	r.serves(two)
}

func placesAreTakenAgain(r *rig) {
	old := r.backend(1)
	r.shifts(map[*backend]int{old: deploy.FullWeight})
	r.answers(10)
	for release := 2; release < 12; release++ {
		next := r.backend(release)
		r.shifts(map[*backend]int{old: 0, next: deploy.FullWeight})
		r.does(deploy.Drain{Instances: []string{old.ID}, Within: patience})
		r.does(deploy.Forget{Instances: []string{old.ID}})
		r.serves(next)
		old = next
	}
	if seen := r.observe(); len(seen.Instances) != len(r.backends) {
		r.Errorf("%+v", seen.Instances)
	}
}

func anotherKeeperSeesTheSame(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	before := r.observe().Instances
	r.driver = r.open()
	for n, after := range r.observe().Instances {
		if !reflect.DeepEqual(after, before[n]) {
			r.Errorf("%+v, before %+v", after, before[n])
		}
	}
	r.shifts(map[*backend]int{one: deploy.FullWeight, two: 0})
	r.serves(one)
	r.does(deploy.Forget{Instances: []string{two.ID}})
}

func byHandIsSeen(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight, two: deploy.FullWeight})
	r.balancer.WeighByHand(r.T, one.Instance, 30)
	seen := r.observe()
	if got := r.traffic(one.Instance); got.Weight != 30 || seen.Renewed {
		r.Errorf("%+v, begun anew: %t", got, seen.Renewed)
	}
	r.balancer.WeighByHand(r.T, two.Instance, 0)
	if got := r.traffic(two.Instance); got.Weight != 0 || !got.Member {
		r.Errorf("%+v", got)
	}
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.serves(two)
}

func staleIsRefused(r *rig) {
	one := r.backend(1)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	if seen := r.observe(); seen.Epoch != epoch {
		r.Errorf("epoch %s", seen.Epoch)
	}
	for _, past := range []towpath.Epoch{{Number: 6, Holder: "keeper"}, {Number: 7, Holder: "another"}} {
		var stale *deploy.StaleEpoch
		_, err := r.tryAs(past, deploy.Shift{Weights: map[string]int{one.ID: 0}})
		if !errors.As(err, &stale) || stale.Seen != epoch {
			r.Errorf("%s: %v", past, err)
		}
	}
	r.serves(one)
}

func targetsOperationsAreRefused(r *rig) {
	var permanent *deploy.Permanent
	if _, err := r.try(deploy.Stop{Instances: []string{"r1-1"}}); !errors.As(err, &permanent) {
		r.Errorf("%v", err)
	}
}

func awayIsTold(r *rig) {
	one := r.backend(1)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.balancer.Stop(r.T)
	var again *deploy.Retryable
	if _, err := r.driver.Observe(r.Context()); !errors.As(err, &again) {
		r.Errorf("an observation of what is away: %v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
	defer cancel()
	order := deploy.Order{
		Epoch: epoch, Operation: deploy.Shift{Weights: map[string]int{one.ID: deploy.FullWeight}}, Instances: r.instances(),
	}
	if _, err := r.driver.Do(ctx, order); err == nil || !isTyped(err) {
		r.Errorf("an order to what is away: %v", err)
	}
	r.balancer.Start(r.T)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	r.serves(one)
}

func restartIsMended(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.observe()
	r.balancer.Stop(r.T)
	r.balancer.Start(r.T)
	seen := r.observe()
	weight := r.traffic(two.Instance).Weight
	switch {
	case r.kind.Keeps && weight != deploy.FullWeight:
		r.Errorf("a weight of %d is left", weight)
	case weight != deploy.FullWeight && !seen.Renewed:
		r.Errorf("a weight of %d counts as changed by hand", weight)
	}
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.serves(two)
	if got := r.observe(); got.Renewed {
		r.Error("it was set right, and still counts as begun anew")
	}
}
