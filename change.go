package towpath

import (
	"strconv"
	"strings"
	"time"
)

// Trigger says what made a change known to us, or who asked for a run.
type Trigger string

// The triggers.
const (
	TriggerPush        Trigger = "push"         // a branch moved: seen by webhook or by polling
	TriggerTag         Trigger = "tag"          // a tag appeared or moved
	TriggerPullRequest Trigger = "pull_request" // a pull request was opened, or has new commits
	TriggerSchedule    Trigger = "schedule"     // the clock said so
	TriggerPipeline    Trigger = "pipeline"     // another pipeline passed
	TriggerManual      Trigger = "manual"       // a person or a program asked for a run
)

// What a change's line begins with where it is no branch.
const (
	tagLine         = "tags/"
	pullRequestLine = "pull/"
)

// Change is a revision of a project that may become runs.
type Change struct {
	Project     string // project's ID
	Branch      string // without refs/heads/; of a tag "tags/NAME", of a pull request "pull/NUMBER": see TagLine
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

	Request   *PullRequest      `json:",omitempty"` // for TriggerPullRequest
	Pipelines []string          `json:",omitempty"` // the only ones that it may start; empty is all
	Upstream  string            `json:",omitempty"` // ID of the run that passed, for TriggerPipeline
	Inputs    map[string]string `json:",omitempty"` // what was asked for beforehand, for TriggerManual
}

// TagLine is what a tag is called where a change has its branch. No branch of such a name makes a change (IsLine), so
// that nobody passes for a tag or a pull request who may only push a branch.
func TagLine(tag string) string { return tagLine + tag }

// PullRequestLine is what a pull request is called where a change has its branch.
func PullRequestLine(number int) string { return pullRequestLine + strconv.Itoa(number) }

// IsLine says that a branch of this name could pass for a tag or a pull request.
func IsLine(branch string) bool {
	return strings.HasPrefix(branch, tagLine) || strings.HasPrefix(branch, pullRequestLine)
}

// Tag is the name of the tag; empty where the change is of none.
func (c Change) Tag() string {
	tag, is := strings.CutPrefix(c.Branch, tagLine)
	if !is {
		return ""
	}
	return tag
}

// IsFromFork says that people wrote the change who may not push to the project's repository. It gets no secrets, no
// environment, and writes nothing that others read.
func (c Change) IsFromFork() bool { return c.Request != nil && c.Request.Fork }

// FetchRef is the full name of the reference, in the project's repository, at which the revision is to be had.
func (c Change) FetchRef() string {
	if c.Request != nil {
		return c.Request.Ref
	}
	if tag := c.Tag(); tag != "" {
		return "refs/tags/" + tag
	}
	return "refs/heads/" + c.Branch
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
