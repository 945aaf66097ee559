package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// Figures that nobody takes for chance: so many requests at least, of which so large a part failed.
const (
	telling = 12
	badPart = 0.6
	anyPart = 0.05 // of the old release's: beside an old one that fails as well, the new one may pass
)

// watchSeen is when a watch began, and what had been answered by then.
type watchSeen struct {
	at     time.Duration
	served []towpath.Served
}

// watches notes the beginning of a watch.
func (j *judge) watches(key string, d towpath.Deployment, m *memory) {
	if _, known := m.watches[d.ID]; known || d.WatchedAt.IsZero() {
		return
	}
	m.watches[d.ID] = watchSeen{at: j.world.now, served: j.servedIn(key)}
}

// servedIn is what has really been answered in an environment.
func (j *judge) servedIn(key string) (served []towpath.Served) {
	for _, s := range j.world.sites {
		if s.key == key && s.balancer != nil {
			served = append(served, s.balancer.served...)
		}
	}
	return slices.Clone(served)
}

// concludes judges a plan that takes a watched release for good, by what its users really got.
func (j *judge) concludes(s *site, plan deploy.Plan) {
	e := j.places[s.key]
	if len(plan.Steps) == 0 || e.Deployment == nil || s.place.watched == 0 {
		return
	}
	d := *e.Deployment
	last, is := plan.Steps[0].Operation.(deploy.Conclude)
	if !is || last.Deployment != d.ID || d.State != towpath.DeploymentRunning {
		return
	}
	if d.Cause == towpath.CauseRollback || d.Release == e.Live {
		return // it has stood its watch before
	}
	began, known := j.remember(s.key).watches[d.ID]
	if !known {
		j.breaks(watched, "%s: release %d is taken for good, and was never watched", s.key, d.Release.Number)
		return
	}
	lasted := j.world.now - began.at
	if lasted < almost(s.place.watched) && j.world.server.jumped < began.at {
		j.breaks(watched, "%s: release %d was watched for %s of %s", s.key, d.Release.Number, lasted, s.place.watched)
	}
	now := j.servedIn(s.key)
	fresh, old := since(began.served, now, d.Release.Number), since(nil, now, e.Live.Number)
	if fresh.Requests >= telling && part(fresh) >= badPart && part(old) < anyPart {
		j.breaks(watched, "%s: release %d is taken for good, and %d of %d requests to it failed", s.key, d.Release.Number, fresh.Errors, fresh.Requests)
	}
}

// since counts what a release has answered between two moments.
func since(before, after []towpath.Served, release int) (count towpath.Served) {
	for _, s := range after {
		if s.Release == release {
			count.Requests, count.Errors = count.Requests+s.Requests, count.Errors+s.Errors
		}
	}
	for _, s := range before {
		if s.Release == release {
			count.Requests, count.Errors = count.Requests-s.Requests, count.Errors-s.Errors
		}
	}
	return count
}

// part is the share of requests that failed; 0 where there were none.
func part(s towpath.Served) float64 { return float64(s.Errors) / float64(max(1, s.Requests)) }

// standsReady judges that nothing takes down the old side while the new one is watched.
func (j *judge) standsReady(s *site, o order, id string) {
	e := j.places[s.key]
	if !s.place.keepsOldSide() || s.place.watched == 0 || e.Deployment == nil || e.Deployment.State != towpath.DeploymentRunning {
		return
	}
	if e.Deployment.WatchedAt.IsZero() || o.goal != e.Goal.Number {
		return
	}
	if i := s.target.find(id); i != nil && i.release == e.Live.Number && i.fine && i.wasFine(o.seenAt) {
		j.breaks(ready, "%s: %q while release %d is watched, and %s could take its traffic back", s.key, o, e.Goal.Number, id)
	}
}
