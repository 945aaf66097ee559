package simulate

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// calm begins to look for the end.
func (j *judge) calm() {
	j.quiet = j.world.now
	j.world.every(1500*time.Millisecond, 2500*time.Millisecond, nil, j.tryToEnd)
}

// tryToEnd ends the story where everything has come to rest, and judges how. One that does not is a broken promise.
func (j *judge) tryToEnd() {
	if !j.world.server.up {
		return
	}
	why, by := j.running(), ends
	if why == "" {
		why, by = j.unsettled(), settles
	}
	if why == "" || j.world.now-j.quiet > calmLimit {
		j.recheck()
		j.view(func(tx *store.Tx) (err error) {
			if unfinished, err := j.restless(tx); err != nil || unfinished != "" {
				why, by = unfinished, ends
				return err
			}
			return nil
		})
	}
	switch {
	case why == "":
		j.checkTold()
		j.over = true
	case by == settles && !j.leapt && j.world.server.jumped > 0 && j.world.now-j.quiet > calmLimit/3:
		j.leapt = true // a clock that was a day ahead may have had a standby last a day longer
		j.world.leap(24 * time.Hour)
		j.quiet = j.world.now
	case j.world.now-j.quiet > calmLimit:
		j.breaks(by, "%s after nothing went wrong any more: %s", calmLimit, why)
	}
}

// running says what has not ended, by what was read last.
func (j *judge) running() string {
	for _, id := range sortedKeys(j.runs) {
		if run := j.runs[id]; !run.State.IsFinal() {
			return fmt.Sprintf("run %d is %s: %s", run.Number, run.State, stepsOf(run))
		}
	}
	for _, key := range sortedKeys(j.places) {
		if e := j.places[key]; e.Deployment != nil || len(e.Queue) > 0 {
			return key + " is deploying"
		}
	}
	return ""
}

// restless says what has not ended, by what is recorded.
func (j *judge) restless(tx *store.Tx) (string, error) {
	pending, err := tx.PendingChanges(0)
	if err != nil || len(pending) > 0 {
		return fmt.Sprintf("%d changes are pending", len(pending)), err
	}
	changes, err := tx.Changes(store.ChangeFilter{})
	pushed := 0
	for _, c := range changes {
		if c.Change.Trigger == towpath.TriggerPush {
			pushed++
		}
	}
	if err != nil || pushed < len(j.world.repository.commits) || len(j.world.repository.commits) < j.world.drawn.pushes {
		return fmt.Sprintf("%d of %d pushes are recorded", pushed, j.world.drawn.pushes), err
	}
	if why := j.running(); why != "" {
		return why, nil
	}
	effects, err := tx.DueEffects(j.world.server.wall().Add(1000*time.Hour), 1)
	if err != nil || len(effects) > 0 {
		return fmt.Sprintf("effects wait: %v", effects), err
	}
	leases, err := tx.Leases()
	ready, errReady := tx.Ready(1)
	if err != nil || errReady != nil || len(leases)+len(ready) > 0 {
		return fmt.Sprintf("the queue holds %v and %v", leases, ready), err
	}
	return "", nil
}

func stepsOf(run towpath.Run) (text string) {
	for _, s := range run.Steps {
		text += fmt.Sprintf("%s is %s; ", s.Name, s.State)
	}
	return text
}

// unsettled says what is not as it has to be in the end.
func (j *judge) unsettled() string {
	for _, key := range sortedKeys(j.places) {
		e := j.places[key]
		if e.Halted != "" {
			return key + " is halted: " + e.Halted
		}
		sites := 0
		for _, s := range j.world.sites {
			if s.key != key || s.machine != nil && len(s.target.instances) == 0 && s.machine.id != e.Machine {
				continue
			}
			sites++
			if why := j.unsettledSite(s, e); why != "" {
				return why
			}
		}
		if sites == 0 && e.Live.Number > 0 {
			return key + " is nowhere"
		}
		if last := j.plans[key]; sites > 0 && (last.steps > 0 || last.at < j.quiet || j.world.now-last.at > time.Minute) {
			return fmt.Sprintf("%s: the plan has %d steps", key, last.steps)
		}
	}
	return ""
}

func (j *judge) unsettledSite(s *site, e towpath.Environment) string {
	wanted := s.place.instances
	if e.Live.Number == 0 {
		wanted = 0
	}
	why := j.unsettledHosts(s, e)
	if s.machine != nil {
		why = j.unsettledProcesses(s, e, wanted)
	}
	if why != "" || s.balancer == nil {
		return why
	}
	for _, m := range s.balancer.members {
		if s.target.find(m.id) == nil || m.weight == 0 {
			return fmt.Sprintf("%s: the balancer has %s with weight %d", s.key, m.id, m.weight)
		}
	}
	if len(s.balancer.members) != wanted {
		return fmt.Sprintf("%s: the balancer has %d members, %d instances are wanted", s.key, len(s.balancer.members), wanted)
	}
	return ""
}

func (j *judge) unsettledProcesses(s *site, e towpath.Environment, wanted int) string {
	for _, i := range s.target.instances {
		if i.release != e.Live.Number || !i.fine {
			return fmt.Sprintf("%s: release %d is live, and %s is there, %s, fine: %t", s.key, e.Live.Number, i.id, i.state, i.fine)
		}
	}
	if len(s.target.instances) != wanted {
		return fmt.Sprintf("%s: %d instances are there, %d are wanted", s.key, len(s.target.instances), wanted)
	}
	return ""
}

// checkTold judges that people were told of what concerns them.
func (j *judge) checkTold() {
	for _, id := range sortedKeys(j.runs) {
		run := j.runs[id]
		isTold := j.isTold[string(towpath.AlertBroke)+id] || j.isTold[string(towpath.AlertStillBroke)+id]
		if run.State == towpath.RunFailed && !isTold {
			j.breaks(tells, "nobody was told that run %d failed", run.Number)
		}
	}
	for _, key := range sortedKeys(j.places) {
		if e := j.places[key]; e.Live.Number > 0 && !j.wasTold(towpath.AlertDeployed, key) {
			j.breaks(tells, "nobody was told that release %d is live in %s", e.Live.Number, key)
		}
	}
}

func (j *judge) wasTold(kind towpath.AlertKind, environment string) bool {
	for _, a := range j.world.receiver.alerts {
		if a.Kind == kind && a.Environment == environment {
			return true
		}
	}
	return false
}
