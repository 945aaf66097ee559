package deploy

import "github.com/towpath-cd/towpath"

// before, after and failed are the rules of the hooks.
func before(s situation) []Step { return s.hook(towpath.HookBefore, s.isGated()) }
func after(s situation) []Step  { return s.hook(towpath.HookAfter, s.isGated()) }
func failed(s situation) []Step { return s.hook(towpath.HookFailed, s.isReturning()) }

// isReturning says that a deployment is going back.
func (s situation) isReturning() bool {
	d := s.Environment.Deployment
	return d != nil && d.State == towpath.DeploymentReturning
}

// hook runs a hook once where it is due. One that failed gives the goal up, and so does nobody know what one has done
// that was cut off by a crash: a person has to look. Neither holds up what goes back.
func (s situation) hook(h towpath.Hook, isDue bool) []Step {
	if !isDue || s.Environment.Definition.Hooks.Script(h) == "" {
		return nil
	}
	receipt, is := s.Environment.Deployment.Receipt(h)
	switch {
	case !is:
		return one(RunHook{Hook: h}, "once a deployment")
	case h == towpath.HookFailed, receipt.State == towpath.HookPassed:
		return nil
	case receipt.State == towpath.HookBroke:
		return one(Condemn{Reason: "the hook " + string(h) + " failed: " + receipt.Problem}, "it is run once a deployment")
	}
	if receipt.State == towpath.HookBegun {
		return one(LoseHook{Hook: h}, "whoever ran it was cut off")
	}
	return one(Await{Why: s.Environment.Deployment.Outcome}, "a hook is run once a deployment")
}
