package deploy

import "github.com/towpath-cd/towpath"

// isHeld says that an instance's share was changed by hand and is left so: while nothing is deployed, where the
// environment says that drift is reported, and as long as enough serves all the same. What is dead is replaced, whoever
// gave it its share.
func (s situation) isHeld(i towpath.Instance) bool {
	e := s.Environment
	return i.Traffic.ByHand && s.isBalanced() && !s.isBroken(i) && e.Definition.Drift == towpath.DriftReport &&
		e.Deployment == nil && s.isProven() && s.answering() >= max(1, s.minimum)
}

// holds says that anything is held.
func (s situation) holds() bool { return len(filter(s.Observed.Instances, s.isHeld)) > 0 }
