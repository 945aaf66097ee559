package towpath

import (
	"slices"
	"time"
)

// FreezeScope is how far a freeze reaches.
type FreezeScope string

// The scopes of freezes.
const (
	FreezeEnvironment FreezeScope = ""        // one environment
	FreezeProject     FreezeScope = "project" // all environments of a project
	FreezeName        FreezeScope = "name"    // all environments of a name, on the whole server
)

// Freeze stops deployments, but not rollbacks.
type Freeze struct {
	Scope  FreezeScope `json:",omitempty"`
	Of     string      `json:",omitempty"` // the project's ID, or the environments' name; empty for one environment
	By     string
	Reason string
	At     time.Time
	Until  time.Time `json:",omitzero"` // zero is until somebody ends it
}

// IsOver says that the freeze has run out.
func (f Freeze) IsOver(at time.Time) bool { return !f.Until.IsZero() && !at.Before(f.Until) }

// Covers says that the freeze reaches an environment.
func (f Freeze) Covers(e Environment) bool {
	switch f.Scope {
	case FreezeProject:
		return e.Project == f.Of
	case FreezeName:
		return e.Name == f.Of
	}
	return false
}

// String says who froze what, until when and why: "by ana with every production until 24 Dec 2026 18:00 UTC: the sale".
func (f Freeze) String() string {
	text := "by " + f.By
	switch f.Scope {
	case FreezeProject:
		text += " with its whole project"
	case FreezeName:
		text += " with every " + f.Of
	}
	if !f.Until.IsZero() {
		text += " until " + f.Until.UTC().Format("2 Jan 2006 15:04 MST")
	}
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	return text
}

// Frozen answers the freeze that holds the environment at a time, its own first; nil where none does.
func (e Environment) Frozen(at time.Time) *Freeze {
	if e.Freeze != nil && !e.Freeze.IsOver(at) {
		return e.Freeze
	}
	for _, f := range e.Freezes {
		if !f.IsOver(at) {
			return &f
		}
	}
	return nil
}

// Frozen stops deployments until Thawed, or until a time.
type Frozen struct {
	Scope      FreezeScope
	Of         string
	By, Reason string
	Until      time.Time // zero is until Thawed
	At         time.Time
}

// Thawed ends a freeze of a scope.
type Thawed struct {
	Scope FreezeScope
	By    string
	At    time.Time
}

func (e Frozen) when() time.Time { return e.At }
func (e Thawed) when() time.Time { return e.At }

func (e Frozen) freeze() Freeze {
	return Freeze{Scope: e.Scope, Of: e.Of, By: e.By, Reason: e.Reason, At: e.At, Until: e.Until}
}

func (e Frozen) refusedBy(env Environment) error {
	switch f := e.freeze(); {
	case f.IsOver(e.At):
		return Errorf(CodeInvalid, "%s is not to come", e.Until.UTC().Format("2 Jan 2006 15:04 MST")).WithHint("a freeze ends later than it begins")
	case e.Scope != FreezeEnvironment && !f.Covers(env):
		return Errorf(CodeConflict, "that freeze does not reach %s", env.Key)
	}
	return nil
}

func (e Frozen) apply(t *environmentTransition) {
	f := e.freeze()
	if e.Scope == FreezeEnvironment {
		t.environment.Freeze = &f
		return
	}
	t.environment.Freezes = append(t.environment.without(e.Scope), f)
}

// without answers the wider freezes but for those of a scope.
func (e Environment) without(scope FreezeScope) []Freeze {
	return slices.DeleteFunc(slices.Clone(e.Freezes), func(f Freeze) bool { return f.Scope == scope })
}

func (e Thawed) refusedBy(env Environment) error {
	isThere := slices.ContainsFunc(env.Freezes, func(f Freeze) bool { return f.Scope == e.Scope })
	if e.Scope == FreezeEnvironment {
		isThere = env.Freeze != nil
	}
	if isThere {
		return nil
	}
	if wider := env.Frozen(e.At); wider != nil {
		return Errorf(CodeConflict, "%s is not frozen by itself but %s", env.Key, wider).
			WithHint("towpath thaw --project NAME or towpath thaw --every NAME ends a freeze that reaches further")
	}
	return Errorf(CodeConflict, "%s is not frozen", env.Key)
}

func (e Thawed) apply(t *environmentTransition) {
	if e.Scope == FreezeEnvironment {
		t.environment.Freeze = nil
		return
	}
	t.environment.Freezes = t.environment.without(e.Scope)
}
