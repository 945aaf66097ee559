package deploy

import (
	"fmt"

	"github.com/towpath-cd/towpath"
)

// What a keeper may do while it cannot ask its server stands here: it goes back and keeps the live release up, and takes
// away nothing that the server may still want.

// Alone answers the plan as far as a keeper performs it without its server: up to where the goal serves. What would be
// tidied up behind it stays.
func (p Plan) Alone(f Facts) Plan {
	for n, step := range p.Steps {
		_, reached := next(f)
		if _, concludes := step.Operation.(Conclude); concludes {
			p.Steps = p.Steps[:n+1]
			return p
		}
		if reached {
			p.Steps = p.Steps[:n]
			return p
		}
		f = f.after(step.Operation)
	}
	return p
}

// NewForecastAlone is NewForecast of what a keeper does without its server.
func NewForecastAlone(f Facts) Forecast { return forecast(f, NewPlan(f).Alone(f)) }

// Failing says why the release of the deployment under way does not stand the traffic that it has: its watch condemns
// it, or too few of its instances pass their probe. It is empty where it does, or has none.
func Failing(f Facts) string {
	s := newSituation(f)
	if d := f.Environment.Deployment; d == nil || d.State != towpath.DeploymentRunning || s.isProven() {
		return ""
	}
	given := filter(f.Observed.Instances, func(i towpath.Instance) bool { return s.isOfGoal(i) && s.takesTraffic(i) })
	if len(given) == 0 {
		return ""
	}
	if s.isWatched() && !f.Environment.Deployment.WatchedAt.IsZero() {
		if v := s.verdict(); v.State == VerdictFail {
			return v.Text
		}
	}
	failing := filter(given, isFailing)
	if healthy := len(filter(f.Observed.Instances, s.isServing)); len(failing) == 0 || healthy >= max(1, s.minimum) {
		return ""
	}
	return fmt.Sprintf("%d of %d instances of release %d that take traffic fail their probe: %s: %s",
		len(failing), len(given), f.Environment.Goal.Number, failing[0].ID, failing[0].Problem)
}

// Serves says that enough healthy instances take traffic, of whatever release.
func Serves(f Facts) bool {
	s := newSituation(f)
	return len(filter(f.Observed.Instances, s.isServing)) >= max(1, s.minimum)
}

// isServing says that requests reach an instance, and are answered.
func (s situation) isServing(i towpath.Instance) bool { return isReady(i) && s.takesTraffic(i) }

// takesTraffic says that an instance is given requests. Without a balancer all that run are.
func (s situation) takesTraffic(i towpath.Instance) bool {
	return !s.isBalanced() && isStarted(i) || s.traffic(i).Weight > 0
}
