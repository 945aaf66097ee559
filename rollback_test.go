package towpath

import (
	"fmt"
	"testing"
)

func TestARollbackGoesToAnyReleaseThatIsKnown(t *testing.T) {
	p := newPlace(t)
	for release := 40; release <= 46; release++ {
		p.deploys(release)
	}
	if got := fmt.Sprint(numbers(p.env.Ready())); got != "[42 43 44 45 46]" {
		t.Errorf("ready are %s", got)
	}
	for to, want := range map[int]Code{46: CodeConflict, 39: CodeConflict, 99: CodeConflict} {
		p.refuses(RollbackRequested{ID: "b0", To: to, By: "ana", At: p.now}, want)
	}
	p.asks(47, CauseRun)
	p.refuses(RollbackRequested{ID: "b0", To: 42, By: "ana", At: p.now}, CodeConflict)
	p.happens(RollbackRequested{ID: "b1", To: 46, By: "ana", At: p.now})
	p.reaches(p.env.Deployment.ID)
	p.serves(46, 46)

	p.happens(Frozen{By: "ben", At: p.now})
	p.happens(RollbackRequested{ID: "b2", To: 42, By: "ana", Reason: "all of them are slow", At: p.now})
	p.serves(46, 42)
	p.reaches("b2")
	p.serves(42, 42)
	if got := fmt.Sprint(numbers(p.env.History)); got != "[40 41 42]" || p.env.Previous() != ref(41) {
		t.Errorf("it can go back to %s", got)
	}
	if p.env.Pin == nil || p.env.Pin.From != ref(46) {
		t.Errorf("pinned is %+v", p.env.Pin)
	}
}

func numbers(releases []ReleaseRef) []int {
	var found []int
	for _, r := range releases {
		found = append(found, r.Number)
	}
	return found
}
