package towpath

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goesBack tells of a rollback that was done without the server, twice: the second time changes nothing.
func (p *place) goesBack(e WentBack) {
	p.t.Helper()
	e.Epoch, e.At, e.BeganAt = p.env.Epoch, p.now, p.now
	p.happens(e)
	effects := p.effects
	if e.hasArrived() {
		p.refuses(e, CodeConflict)
	}
	p.effects = effects
}

// recorded answers a deployment as it was recorded last.
func (p *place) recorded(id string) (d Deployment) {
	for _, e := range p.effects {
		if r, is := e.(RecordDeployment); is && r.Deployment.ID == id {
			d = r.Deployment
		}
	}
	return d
}

func TestADirectRollbackIsRecordedAsOneAndPins(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	p.deploys(42)
	p.goesBack(WentBack{ID: "w1", To: ref(41), By: "root on web-1", Reason: "carts are empty", State: DeploymentLive})
	p.serves(41, 41)
	d := p.recorded("w1")
	if d.State != DeploymentLive || d.Cause != CauseRollback || d.From != ref(42) || d.By != "root on web-1" || d.Reason != "carts are empty" {
		t.Errorf("it is recorded as %+v", d)
	}
	if p.env.Pin == nil || p.env.Pin.From != ref(42) || !cmp.Equal(p.env.History, []ReleaseRef{ref(41)}) {
		t.Errorf("pin %+v, history %v", p.env.Pin, p.env.History)
	}
	p.asks(42, CauseRun)
	if state, _ := p.told(); state != DeploymentRefused {
		t.Errorf("the release that was rolled back comes again: %s", state)
	}
}

func TestADirectRollbackTurnsBackWhatWasUnderWay(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	next := p.asks(43, CauseRun)
	hooks := []HookReceipt{{Hook: HookFailed, State: HookPassed}}
	p.goesBack(WentBack{Turned: id, To: ref(41), By: "ana", State: DeploymentReturned, Outcome: "rolled back by ana", Hooks: hooks})
	d := p.recorded(id)
	if d.State != DeploymentReturned || d.Outcome != "rolled back by ana" || !cmp.Equal(d.Hooks, hooks) {
		t.Errorf("it is recorded as %+v", d)
	}
	p.serves(41, 43)
	p.reaches(next)
	p.serves(43, 43)
}

func TestWhatAKeeperTurnedBackByItselfFailed(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	p.goesBack(WentBack{Turned: id, To: ref(41), Reason: "503", State: DeploymentReturned, Outcome: "503"})
	p.serves(41, 41)
	if p.env.Pin == nil || p.env.Pin.By != "towpath" || !cmp.Equal(p.env.Failed, []ReleaseRef{ref(42)}) {
		t.Errorf("pin %+v, failed %v", p.env.Pin, p.env.Failed)
	}
}

// The keeper reported that 42 is live, and never heard that this was recorded; then it went back from it.
func TestADeploymentThatEndedUnheardIsRolledBack(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	id := p.asks(42, CauseRun)
	p.reaches(id)
	p.goesBack(WentBack{ID: "w1", Turned: id, To: ref(41), By: "ana", State: DeploymentReturned, Outcome: "rolled back by ana"})
	p.serves(41, 41)
	if d := p.recorded("w1"); d.State != DeploymentLive || d.From != ref(42) {
		t.Errorf("it is recorded as %+v", d)
	}
}

func TestANewerWishAtTheServerCountsOnceTheDirectRollbackIsRecorded(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	p.deploys(42)
	id := p.asks(43, CauseManual)
	p.goesBack(WentBack{ID: "w1", To: ref(41), By: "root on web-1", State: DeploymentLive})
	p.serves(41, 43)
	p.happens(GoalFailed{Epoch: p.env.Epoch, Deployment: id, Reason: "503", At: p.now})
	p.serves(41, 41)
	p.reaches(id)
	p.serves(41, 41)
}

func TestTheSameRollbackAtTheServerStaysTheOne(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	p.deploys(42)
	p.happens(RollbackRequested{ID: "b1", By: "ben", At: p.now})
	p.refuses(WentBack{Epoch: p.env.Epoch, ID: "w1", To: ref(41), By: "ana", State: DeploymentLive, At: p.now}, CodeConflict)
	p.reaches("b1")
	p.serves(41, 41)
}

func TestADirectRollbackThatFailedIsRecordedAndChangesNothing(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	p.deploys(42)
	p.goesBack(WentBack{ID: "w1", To: ref(41), By: "ana", State: DeploymentReturned, Outcome: "its files are damaged"})
	p.serves(42, 42)
	if d := p.recorded("w1"); d.State != DeploymentReturned || d.Outcome != "its files are damaged" {
		t.Errorf("it is recorded as %+v", d)
	}
	p.goesBack(WentBack{ID: "w2", To: ref(41), By: "ana", State: DeploymentHalted, Outcome: "the disk is full"})
	if p.env.Halted != "the disk is full" {
		t.Errorf("halted %q", p.env.Halted)
	}
}

func TestWhatNobodyKnowsIsNotTakenForARollback(t *testing.T) {
	p := newPlace(t)
	p.deploys(41)
	p.deploys(42)
	stale := p.env.Epoch
	stale.Number--
	p.refuses(WentBack{Epoch: stale, ID: "w1", To: ref(41), State: DeploymentLive, At: p.now}, CodeStale)
	p.refuses(WentBack{Epoch: p.env.Epoch, ID: "w1", To: ref(7), State: DeploymentLive, At: p.now}, CodeConflict)
	p.refuses(WentBack{Epoch: p.env.Epoch, ID: "w1", State: DeploymentLive, At: p.now}, CodeInvalid)
	p.refuses(WentBack{Epoch: p.env.Epoch, ID: "w1", To: ref(41), State: "odd", At: p.now}, CodeInvalid)
}
