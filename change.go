package towpath

import "time"

// Trigger says what made a change known to us, or who asked for a run.
type Trigger string

// The triggers.
const (
	TriggerPush   Trigger = "push"   // a branch moved: seen by webhook or by polling
	TriggerManual Trigger = "manual" // a person or a program asked for a run
)

// Change is a revision of a project that may become runs.
type Change struct {
	Project     string // project's ID
	Branch      string // without refs/heads/
	Revision    string // full commit hash
	Before      string // the revision the branch was at before; empty where it was not known
	Author      string
	AuthorEmail string
	Message     string // the whole commit message
	Files       []string
	Trigger     Trigger
	By          string // account that asked, for TriggerManual
	Trusted     bool   // of the default or another protected branch
	SeenAt      time.Time
}

// Title is the first line of the message.
func (c Change) Title() string {
	for i, r := range c.Message {
		if r == '\n' {
			return c.Message[:i]
		}
	}
	return c.Message
}

// Short is the revision as people read it.
func (c Change) Short() string { return ShortRevision(c.Revision) }

// ShortRevision is the first seven digits of a commit hash.
func ShortRevision(revision string) string { return revision[:min(7, len(revision))] }
