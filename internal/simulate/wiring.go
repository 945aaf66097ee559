package simulate

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// wiring is where the judged code is joined to the world. The tests put a bug in between, to see that the invariant it
// breaks turns red.
type wiring struct {
	plan      func(deploy.Facts) deploy.Plan
	upTo      func(deploy.Plan) []deploy.Step
	merge     func(target, balancer towpath.Observation, ok bool) towpath.Observation
	update    func(*store.Store, context.Context, func(*store.Tx) error) error
	announcer func(flow.Announcer) flow.Announcer
	outlasts  bool            // orders that nobody can refuse do not end with their keeper's lease
	anyStep   bool            // a person's word is taken for whichever step is held
	claims    bool            // a keeper is heard by its drivers before it looks
	tune      func(*scenario) // makes the scenario one in which a bug is soon seen
	repeats   time.Duration   // after which each change of the weights is carried out once more; 0 is never
}

func newWiring() wiring {
	return wiring{
		plan: deploy.NewPlan, upTo: deploy.Plan.UpToBarrier, merge: deploy.Merge,
		update:    (*store.Store).Update,
		announcer: func(a flow.Announcer) flow.Announcer { return a },
		claims:    true,
		tune:      func(*scenario) {},
	}
}
