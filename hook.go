package towpath

import "time"

// Hook is a script of the pipeline file around a deployment.
type Hook string

// The hooks.
const (
	HookBefore Hook = "before" // before anything is placed
	HookAfter  Hook = "after"  // when the release serves, before it counts as live
	HookFailed Hook = "failed" // when the deployment has gone back
)

// Hooks lists every hook, in the order in which they come.
var Hooks = []Hook{HookBefore, HookAfter, HookFailed}

// HooksDefinition is the scripts of an environment; empty is none.
type HooksDefinition struct{ Before, After, Failed string }

// Script answers a hook's script.
func (d HooksDefinition) Script(h Hook) string {
	switch h {
	case HookBefore:
		return d.Before
	case HookAfter:
		return d.After
	case HookFailed:
		return d.Failed
	}
	return ""
}

// HookState says what is known of a hook that was begun.
type HookState string

// The states of a hook. One that has begun and not ended by the time its keeper plans again was cut off by a crash: its
// outcome is unknown, and it is not run again.
const (
	HookBegun   HookState = "begun"
	HookPassed  HookState = "passed"
	HookBroke   HookState = "failed"
	HookUnknown HookState = "unknown"
)

// HookStates lists every state.
var HookStates = []HookState{HookBegun, HookPassed, HookBroke, HookUnknown}

// HookReceipt is recorded before a hook is run, so that it is run at most once a deployment.
type HookReceipt struct {
	Hook    Hook
	State   HookState
	Problem string // why it failed
	BeganAt time.Time
	EndedAt time.Time // where its outcome is unknown: when that was seen
}

// Receipt answers what is recorded of a hook.
func (d Deployment) Receipt(h Hook) (HookReceipt, bool) {
	for _, r := range d.Hooks {
		if r.Hook == h {
			return r, true
		}
	}
	return HookReceipt{}, false
}
