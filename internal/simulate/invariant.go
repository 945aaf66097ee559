package simulate

// invariant is a promise that is checked while a story is told.
type invariant struct {
	Name    string
	Promise string
	Source  string // where the design says so
}

// The invariants. Each has a bug in the tests that turns it red.
var (
	recorded = invariant{"recorded", "what was acknowledged is not lost, whatever dies", "design 1.1"}
	outcome  = invariant{"outcome", "every change ends in exactly one visible outcome, and makes its runs once", "design 1.1"}
	ends     = invariant{"ends", "every run and every deployment ends, once nothing goes wrong any more and some time has passed", "design 1.1, 3.1"}
	attempts = invariant{"attempts", "an attempt runs once, and a run step that was lost does not run again by itself", "design 4"}
	once     = invariant{"once", "nothing is done twice where the other side can refuse it", "design 1.1"}
	tells    = invariant{"tells", "every failed run and every deployment that went live is told to the people concerned", "design 1.5"}
	answers  = invariant{"answers", "the server never answers with a fault of its own", "design 1.1"}

	sameBytes = invariant{"same-bytes", "what was built is what is deployed, by digest", "design 1.2"}
	approved  = invariant{"approved", "nothing is deployed behind an approval but the bytes that were approved", "design 1.2, 7"}

	proved   = invariant{"proved", "only instances of the goal that passed their probe are given new traffic", "design 1.3, 3.2 (2)"}
	capacity = invariant{"capacity", "the healthy instances that take traffic never fall below the minimum, if they were not below it before", "design 1.3, 3.2 (1)"}
	drained  = invariant{"drained", "nothing is stopped while it takes traffic or has something in flight, until the drain time is over", "design 3.2 (3)"}
	served   = invariant{"served", "no request is given to what was stopped by an order, or was never there", "design 1.3"}

	fenced  = invariant{"fenced", "no order of a keeper changes anything once a later keeper has looked, and no two keepers have the same epoch", "design 4"}
	newer   = invariant{"newer", "a deployment of a change older than the live one does not begin unless a person says so", "design 3.1"}
	pinned  = invariant{"pinned", "what was rolled back does not come back by itself", "design 3.2"}
	frozen  = invariant{"frozen", "no deployment begins in a frozen environment", "design 3.1"}
	watched = invariant{"watched", "a release that is watched is live only after its time, and never if its users got errors", "design 3.2"}
	ready   = invariant{"ready", "while a release is watched the old side stays as it is, so that it can take the traffic back", "design 3.2"}

	turns  = invariant{"turns", "the goal turns back once, to the live release, and then it stops", "design 3.2"}
	failed = invariant{"failed", "a release that failed is not a goal again until a person says so", "design 3.2"}

	stepwise = invariant{"stepwise", "a canary has no more than the share of its step, and a step ends after its time or by one word of a person", "design 3.2"}
	kept     = invariant{"kept", "files of good releases stay on hosts, as many as the definition says", "design 3.2"}
	hooks    = invariant{"hooks", "a hook is run at most once a deployment", "design 3.2"}

	settles = invariant{"settles", "in the end one release serves with all its instances, nothing is left over, and the plan is empty", "design 3.2 (4, 5)"}
)

// invariants lists them all.
func invariants() []invariant {
	return []invariant{
		recorded, outcome, ends, attempts, once, tells, answers, sameBytes, approved, proved, capacity, drained, served,
		fenced, newer, pinned, frozen, watched, ready, turns, failed, stepwise, kept, hooks, settles,
	}
}
