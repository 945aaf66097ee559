package simulate

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// leastOver is by how much of the whole, in percent, a share may lie above what is asked for: weights are whole numbers.
const leastOver = 2

// stepped is what the world knows of the step that a canary is at.
type stepped struct {
	step     int
	since    time.Duration // when it was recorded that its share is given
	began    bool
	promoted bool // a person's word has come since
}

// stepsOn notes how far a canary is, and judges that it came there as it may.
func (j *judge) stepsOn(key string, d towpath.Deployment, m *memory) {
	was, steps := m.steps[d.ID], j.world.drawn.place.steps
	if d.StepAt.IsZero() || was.began && was.step == d.CanaryStep {
		return
	}
	if was.began && was.step < len(steps) && steps[was.step].promoted && !was.promoted && d.CanaryStep < len(steps) {
		j.breaks(stepwise, "%s: release %d goes on from step %d, and a person was to say so", key, d.Release.Number, was.step+1)
	}
	m.steps[d.ID] = stepped{step: d.CanaryStep, since: j.world.now, began: true}
}

// promotes notes a person's word about a step, counted from 1, that has come.
func (j *judge) promotes(key, deployment string, step int) {
	j.look() // what had begun before had begun
	m := j.remember(key)
	s := m.steps[deployment]
	s.promoted = s.promoted || s.began && s.step == step-1
	m.steps[deployment] = s
}

// steps judges a change of the weights by the step that a canary is at: it may not have more than that, unless its time is
// over or a person has said so.
func (j *judge) steps(s *site, o order, operation deploy.Shift, old int) {
	d := o.known.Deployment
	isStepping := s.place.strategy == towpath.StrategyCanary && d != nil && d.State == towpath.DeploymentRunning &&
		d.Cause != towpath.CauseRollback && d.Release != o.known.Live && o.goal == d.Release.Number
	if !isStepping || old == 0 || !concerns(operation, o.goal) {
		return
	}
	step := j.due(s, *d)
	if step >= len(s.place.steps) {
		return
	}
	fresh := s.balancer.weightOf(o.goal)
	rest := s.balancer.weightOf(o.known.Live.Number)
	if share := 100 * fresh / max(1, fresh+rest); share > s.place.steps[step].share+leastOver {
		j.breaks(stepwise, "%s: %q gives release %d a share of %d%% in step %d, which is of %d%%", s.key, o, o.goal, share, step+1, s.place.steps[step].share)
	}
}

// due is the step that a canary may be at now.
func (j *judge) due(s *site, d towpath.Deployment) int {
	seen := j.remember(s.key).steps[d.ID]
	if !seen.began || seen.step >= len(s.place.steps) {
		return seen.step
	}
	now := s.place.steps[seen.step]
	isOver := seen.promoted || !now.promoted && j.world.now-seen.since >= almost(now.lasts)
	if isOver || j.world.server.jumped > seen.since {
		return seen.step + 1
	}
	return seen.step
}

// concerns says that a change of the weights names instances of a release.
func concerns(operation deploy.Shift, release int) bool {
	for id := range operation.Weights {
		if of, _ := towpath.ParseInstanceID(id); of == release {
			return true
		}
	}
	return false
}
