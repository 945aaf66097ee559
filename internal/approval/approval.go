// Package approval is leg 5: who is asked, who may decide, and what a decision binds.
package approval

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// ProtectedEnvironment is the name of the environment that is protected from the start: only the default branch and
// other protected ones reach it.
const ProtectedEnvironment = "production"

// ID names the request of an approve step.
func ID(run, step string) string { return run + "/" + step }

// Ask makes the request of an approve step.
func Ask(run towpath.Run, step towpath.Step, at time.Time) towpath.Approval {
	d := step.Approve
	return towpath.Approval{
		ID: ID(run.ID, step.Name), Project: run.Project, Run: run.ID, RunNumber: run.Number, Step: step.Name,
		State: towpath.ApprovalWaiting, By: d.By, Count: max(1, d.Count), Author: d.Author,
		AuthoredBy: run.Change.AuthorEmail, Message: d.Message, Intent: Intent(run, step),
		AskedAt: at, ExpiresAt: at.Add(d.Within),
	}
}

// Intent is the digest of what an approval binds: the revision, the artifacts, the definitions of the environments that
// are deployed to behind it, and who was asked.
func Intent(run towpath.Run, step towpath.Step) string {
	bound := struct {
		Revision     string
		Artifacts    []towpath.Artifact
		Environments []towpath.EnvironmentDefinition
		Policy       *towpath.ApproveDefinition
	}{Revision: run.Change.Revision, Environments: Deploys(run, step), Policy: step.Approve}
	for _, before := range run.Behind(step.Name) {
		bound.Artifacts = append(bound.Artifacts, before.Artifacts...)
	}
	encoded, err := json.Marshal(bound)
	if err != nil {
		panic("approval: plain data cannot fail to encode: " + err.Error())
	}
	sum := sha256.Sum256(encoded)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Deploys answers the environments that are deployed to once the step is approved, in the order of the file.
func Deploys(run towpath.Run, approve towpath.Step) []towpath.EnvironmentDefinition {
	var found []towpath.EnvironmentDefinition
	for _, s := range run.Steps {
		needsIt := func(b towpath.Step) bool { return b.Name == approve.Name }
		if s.Kind != towpath.KindDeploy || !slices.ContainsFunc(run.Behind(s.Name), needsIt) {
			continue
		}
		if d, ok := run.Environment(s.Deploy); ok {
			found = append(found, d)
		}
	}
	return found
}

// Decide takes a person's decision in. It answers CodeForbidden where the person was not asked, or is the change's
// author; CodeStale where the person was shown something else than what would be decided; and what Approval.Decide
// refuses.
func Decide(tx *store.Tx, a towpath.Approval, intent string, d towpath.Decision) (towpath.Approval, error) {
	if intent != a.Intent {
		return a, towpath.Errorf(towpath.CodeStale, "what %q decides on is not what you were shown", a.Step).
			WithHint("look at it again")
	}
	person, err := tx.AccountByName(d.Account)
	if err != nil {
		return a, err
	}
	groups, err := tx.GroupsOf(person.ID)
	if err != nil {
		return a, err
	}
	if !slices.ContainsFunc(a.By, func(by string) bool { return by == person.Name || slices.Contains(groups, by) }) {
		return a, towpath.Errorf(towpath.CodeForbidden, "%s was not asked: %q is for %s", person.Name, a.Step, strings.Join(a.By, ", "))
	}
	if !a.Author && person.Email != "" && strings.EqualFold(person.Email, a.AuthoredBy) {
		return a, towpath.Errorf(towpath.CodeForbidden, "%s is the author of this change and cannot approve it", person.Name).
			WithHint("someone else of %s can; author: true in the pipeline file allows it", strings.Join(a.By, ", "))
	}
	return a.Decide(d)
}

// Outcome says in words how a request ended.
func Outcome(a towpath.Approval) string {
	var said []string
	for _, d := range a.Decisions {
		word := "approved by "
		if !d.Approved {
			word = "rejected by "
		}
		if d.Reason != "" {
			d.Account += ": " + d.Reason
		}
		said = append(said, word+d.Account)
	}
	if a.State == towpath.ApprovalExpired {
		said = append(said, fmt.Sprintf("expired after %s", a.ExpiresAt.Sub(a.AskedAt)))
	}
	return strings.Join(said, ", ")
}

// Bars says why a deploy step may not begin: its branch is not allowed there, or an approval before it is missing or
// was given for something else. Empty is that it may.
func Bars(tx *store.Tx, run towpath.Run, step towpath.Step, d towpath.EnvironmentDefinition, p towpath.Policy) (string, error) {
	if reason := BarsBranch(run.Change, d, p); reason != "" {
		return reason, nil
	}
	return unapproved(tx, run, step)
}

// BarsByHand says why a person may not deploy a release of the run: what bars the run's own way there bars theirs. A run
// that has no such way bars nothing but branches, so that a release can be promoted to a place that its file did not
// know yet.
func BarsByHand(tx *store.Tx, run towpath.Run, d towpath.EnvironmentDefinition, p towpath.Policy) (string, error) {
	if reason := BarsBranch(run.Change, d, p); reason != "" {
		return reason, nil
	}
	why := ""
	for _, step := range run.Steps {
		if step.Kind != towpath.KindDeploy || step.Deploy != d.Name {
			continue
		}
		reason, err := unapproved(tx, run, step)
		if err != nil || reason == "" {
			return "", err
		}
		why = reason
	}
	return why, nil
}

// unapproved says which approval before a step is missing, or was given for something else.
func unapproved(tx *store.Tx, run towpath.Run, step towpath.Step) (string, error) {
	for _, before := range run.Behind(step.Name) {
		if before.Kind != towpath.KindApprove {
			continue
		}
		if before.State != towpath.StepPassed {
			return fmt.Sprintf("%q of %s #%d has not been approved", before.Name, run.Pipeline, run.Number), nil
		}
		a, _, err := tx.Approval(ID(run.ID, before.Name))
		if err != nil {
			return "", err
		}
		if a.State != towpath.ApprovalApproved || a.Intent != Intent(run, before) {
			return fmt.Sprintf("the approval of %q was given for something else", before.Name), nil
		}
	}
	return "", nil
}

// BarsBranch says why releases of a change's branch may not be deployed to an environment; empty is that they may. Refs of the policy
// stand in the place of protected branches, and the file's branches narrow either.
func BarsBranch(c towpath.Change, d towpath.EnvironmentDefinition, p towpath.Policy) string {
	matches := func(glob string) bool { return doublestar.MatchUnvalidated(glob, c.Branch) }
	switch {
	case c.IsFromFork():
		return fmt.Sprintf("%s comes from a fork, and is never deployed", c.Branch)
	case p.Refs != nil && !slices.ContainsFunc(p.Refs, matches):
		return fmt.Sprintf("the policy of %s does not allow %s: it allows %s", p.Environment, c.Branch, cmp.Or(strings.Join(p.Refs, ", "), "nothing"))
	case p.Refs == nil && IsProtected(d.Name, p) && !c.Trusted:
		return fmt.Sprintf("%s is protected: %s is not a protected branch", d.Name, c.Branch)
	case len(d.Branches) > 0 && !slices.ContainsFunc(d.Branches, matches):
		return fmt.Sprintf("%s takes only branches %s", d.Name, strings.Join(d.Branches, ", "))
	}
	return ""
}

// IsProtected says that an environment of that name is protected: from the start, or because its policy says so.
func IsProtected(name string, p towpath.Policy) bool {
	return name == ProtectedEnvironment || p.Protected
}

// CheckRefs refuses what is no glob.
func CheckRefs(globs []string) error {
	for _, glob := range globs {
		if !doublestar.ValidatePattern(glob) {
			return towpath.Errorf(towpath.CodeInvalid, "%q is not a pattern of branches", glob)
		}
	}
	return nil
}
