package towpath

import "slices"

// ReadyReleases is how many releases that were good stay on the keeper's machine, so that going back to one of them needs
// nothing of the server's artifact store.
const ReadyReleases = 5

// Ready are the releases that a rollback reaches without the artifact store, oldest first; the live one is the last of them.
func (e Environment) Ready() []ReleaseRef {
	return slices.Clone(e.History[max(0, len(e.History)-ReadyReleases):])
}

// Known are the releases that a rollback can go to, oldest first.
func (e Environment) Known() []ReleaseRef {
	return slices.DeleteFunc(slices.Clone(e.History), func(r ReleaseRef) bool { return r == e.Live })
}

// backTo answers a release of the history; with 0 the one before.
func (e Environment) backTo(number int) ReleaseRef {
	for _, r := range e.History {
		if r.Number == number {
			return r
		}
	}
	return e.Previous()
}

// refusesBack says why a rollback cannot go to a release.
func (e Environment) refusesBack(to int) error {
	isIt := func(r ReleaseRef) bool { return r.Number == to }
	switch d := e.Deployment; {
	case d != nil && to != e.Live.Number:
		return Errorf(CodeConflict, "release %d is on its way to %s, which would go back to release %d", d.Release.Number, e.Key, e.Live.Number).
			WithHint("towpath rollback %s turns it back; after that it goes further", e.Key)
	case d == nil && to == e.Live.Number:
		return Errorf(CodeConflict, "release %d is live in %s", to, e.Key)
	case !slices.ContainsFunc(e.History, isIt):
		return Errorf(CodeConflict, "release %d is none of those that %s can go back to", to, e.Key).
			WithHint("towpath deploy %s %d puts any release there", e.Key, to)
	}
	return nil
}

// upTo leaves out of a history what came after a release, to which it went back: going back once more does not lead forward.
func upTo(whole []ReleaseRef, release ReleaseRef, left []ReleaseRef) []ReleaseRef {
	at := slices.Index(whole, release)
	if at < 0 {
		return left
	}
	return slices.Clone(whole[:at])
}
