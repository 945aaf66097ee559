package balancertest

import (
	"net/http"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/load"
)

// switches is how often traffic moves under load.
const switches = 10

// asks puts steady load on the balancer, by clients that never try again.
func (r *rig) asks() *load.Load {
	kept, fresh := 6, 2
	if r.kind.CutsIdle {
		kept, fresh = 0, 8
	}
	l := load.Start(r.Context(), load.Options{
		Address: r.balancer.Address(), Targets: []load.Target{{Path: "/?takes=5ms", Digest: true}},
		Kept: kept, Fresh: fresh, Timeout: patience, Label: releaseHeader,
	})
	r.Cleanup(func() { l.Stop() })
	return l
}

// flawless ends the load, of which nothing may have failed.
func (r *rig) flawless(l *load.Load) {
	r.Helper()
	report := l.Stop()
	if report.Failed > 0 || report.Requests == 0 {
		r.Errorf("%d of %d requests failed: %+v", report.Failed, report.Requests, report.Failures)
	}
}

// switchesFailNothing kills the old side the moment it is drained, as far as the balancer can know that.
func switchesFailNothing(r *rig) {
	old := r.backend(1)
	r.shifts(map[*backend]int{old: deploy.FullWeight})
	l := r.asks()
	r.must(l.Settle(r.Context()))
	for n := range switches {
		next := r.backend(n + 2)
		r.shifts(map[*backend]int{old: 0, next: deploy.FullWeight})
		r.does(deploy.Drain{Instances: []string{old.ID}, Within: time.Second})
		old.kill()
		r.must(l.Settle(r.Context()))
		r.forgets(old)
		old = next
	}
	r.flawless(l)
}

// forgets takes what is dead out, as it is seen.
func (r *rig) forgets(dead *backend) {
	r.Helper()
	for _, seen := range r.observe().Instances {
		if seen.ID != dead.ID && seen.Address != dead.Address {
			continue
		}
		order := deploy.Order{
			Epoch: epoch, Operation: deploy.Forget{Instances: []string{seen.ID}}, Instances: []towpath.Instance{seen},
		}
		_, err := r.driver.Do(r.Context(), order)
		r.must(err)
	}
}

// reloadFailsNothing has a successor take over in the middle of requests, again and again, and once between two shifts.
func reloadFailsNothing(r *rig) {
	reloader, can := r.balancer.(Reloader)
	if !can {
		return
	}
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight, two: 0})
	l := r.asks()
	r.must(l.Settle(r.Context()))
	reloader.Reload(r.T)
	r.must(l.Settle(r.Context()))
	if got := r.traffic(one.Instance); got.Weight != deploy.FullWeight {
		r.Errorf("after a reload: %+v", got)
	}
	r.serves(one)
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	reloader.Reload(r.T)
	r.must(l.Settle(r.Context()))
	r.serves(two)
	r.flawless(l)
}

func answersAreCounted(r *rig) {
	one, two := r.backend(1), r.backend(2)
	r.shifts(map[*backend]int{one: deploy.FullWeight})
	before := towpath.ServedBy(r.observe().Served, 1)
	r.answers(20)
	r.fails(5)
	r.until("what release 1 answered is counted", func() bool {
		after := towpath.ServedBy(r.observe().Served, 1).Since(before)
		return after.Requests == 25 && after.Errors == 5
	})
	r.shifts(map[*backend]int{one: 0, two: deploy.FullWeight})
	r.does(deploy.Drain{Instances: []string{one.ID}, Within: patience})
	r.does(deploy.Forget{Instances: []string{one.ID}})
	three := r.backend(3)
	r.shifts(map[*backend]int{two: 0, three: deploy.FullWeight})
	r.answers(10)
	r.until("what release 3 answered is counted", func() bool {
		return towpath.ServedBy(r.observe().Served, 3).Requests == 10
	})
	if got := towpath.ServedBy(r.observe().Served, 3); got.Errors != 0 {
		r.Errorf("release 3 has the errors of another: %+v", got)
	}
}

// fails has the instance that serves answer with a status of 500.
func (r *rig) fails(count int) {
	r.Helper()
	for range count {
		response, err := fresh().Get("http://" + r.balancer.Address() + "/fail")
		r.must(err)
		r.must(response.Body.Close())
		if response.StatusCode != http.StatusInternalServerError {
			r.Errorf("status %d", response.StatusCode)
		}
	}
}
