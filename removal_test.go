package towpath

import (
	"testing"
	"time"
)

func (p *place) removes() string {
	p.t.Helper()
	p.happens(RemovalRequested{ID: "removal", By: "ana", Reason: "not needed", At: p.now})
	return "removal"
}

func TestARemovalLeavesNothingButTheRecord(t *testing.T) {
	p := newPlace(t)
	p.reaches(p.asks(1, CauseRun))
	p.reaches(p.asks(2, CauseRun))
	id := p.removes()
	if p.env.Goal.Number != 0 || p.env.Live.Number != 2 || p.env.IsRemoved() {
		t.Errorf("while it is taken down: goal %d, live %d, removed %t", p.env.Goal.Number, p.env.Live.Number, p.env.IsRemoved())
	}
	p.refuses(RemovalRequested{ID: "again", At: p.now}, CodeConflict)
	p.reaches(id)
	if e := p.env; !e.IsRemoved() || e.Live.Number != 0 || len(e.History) > 0 || e.Pin != nil || e.Keeper.Worker != "" || e.Machine != "" {
		t.Errorf("removed, it is %+v", e)
	}
	p.refuses(KeeperLeased{Worker: "w1", Holder: "w1.2", At: p.now, Expires: p.now.Add(time.Minute)}, CodeConflict)
	p.refuses(RollbackRequested{ID: "back", At: p.now}, CodeConflict)
	p.refuses(RemovalRequested{ID: "again", At: p.now}, CodeConflict)
}

func TestADeploymentBringsARemovedEnvironmentBack(t *testing.T) {
	p := newPlace(t)
	p.reaches(p.asks(1, CauseRun))
	last := p.env.LastInstance
	id := p.removes()
	p.asks(2, CauseRun) // it waits for its turn
	p.reaches(id)
	if e := p.env; e.IsRemoved() || e.Deployment == nil || e.Goal.Number != 2 || e.LastInstance < last {
		t.Errorf("what was queued did not begin: %+v", e)
	}
	p.happens(KeeperLeased{Worker: "w2", Holder: "w2.1", At: p.now, Expires: p.now.Add(time.Minute)})
	p.reaches(p.env.Deployment.ID)
	if p.env.Live.Number != 2 || !p.env.RemovedAt.IsZero() {
		t.Errorf("live is %d", p.env.Live.Number)
	}
}

func TestARemovalThatFailsOrIsTakenBackLeavesWhatWasLive(t *testing.T) {
	for what, turns := range map[string]func(*place, string){
		"it fails": func(p *place, id string) {
			p.happens(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Reason: "web1 does not answer", At: p.now})
		},
		"a person rolls back": func(p *place, _ string) { p.happens(RollbackRequested{ID: "back", By: "ben", At: p.now}) },
	} {
		p := newPlace(t)
		p.reaches(p.asks(1, CauseRun))
		id := p.removes()
		turns(p, id)
		if p.env.Goal.Number != 1 || p.env.Pin != nil || len(p.env.Failed) > 0 {
			t.Errorf("%s: goal %d, pin %+v, failed %v", what, p.env.Goal.Number, p.env.Pin, p.env.Failed)
		}
		p.reaches(id)
		if p.env.Live.Number != 1 || p.env.IsRemoved() {
			t.Errorf("%s: live %d", what, p.env.Live.Number)
		}
	}
}

func TestAFrozenOrBusyEnvironmentIsNotRemoved(t *testing.T) {
	p := newPlace(t)
	id := p.asks(1, CauseRun)
	p.refuses(RemovalRequested{ID: "removal", At: p.now}, CodeConflict)
	p.reaches(id)
	p.happens(Frozen{By: "ana", Reason: "audit", At: p.now})
	p.refuses(RemovalRequested{ID: "removal", At: p.now}, CodeConflict)
}
