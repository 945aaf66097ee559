package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// unfinished are the states of runs that have not ended.
const unfinished = "running,waiting"

// hasEnded says that nothing more will happen to a run.
func hasEnded(r client.Run) bool { return r.State != "running" && r.State != "waiting" }

// runName is how people and verbs name a run.
func runName(r client.Run) string { return fmt.Sprintf("%s#%d", r.Pipeline, r.Number) }

// runTitle says which change a run is of.
func runTitle(r client.Run) string {
	return fmt.Sprintf("%s #%d   %s", r.Pipeline, r.Number, changeOf(r))
}

func changeOf(r client.Run) string {
	text := joined(" ", r.Branch, short(r.Revision))
	if r.Title != "" {
		text += fmt.Sprintf(" \"%s\"", r.Title)
	}
	if r.Author != "" {
		text += "  by " + r.Author
	}
	return text
}

// inputsOf says with which inputs a run was started; nothing where it has none.
func inputsOf(r client.Run) string {
	var said []string
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		said = append(said, word(name+"="+r.Inputs[name]))
	}
	if len(said) == 0 {
		return ""
	}
	return "inputs: " + strings.Join(said, " ")
}

// runLines are the steps of a run.
func runLines(r client.Run) []line {
	lines := make([]line, len(r.Steps))
	for i, s := range r.Steps {
		lines[i] = line{
			state: s.State, name: s.Kind + " " + s.Name, detail: stepDetail(s), quiet: s.State == "pending",
			began: s.StartedAt, ended: s.FinishedAt,
		}
		if s.State == "skipped" || s.State == "canceled" {
			lines[i].began, lines[i].ended = time.Time{}, time.Time{}
		}
	}
	return lines
}

// askedFor knows who is asked about steps that wait for people, which a run does not tell.
type askedFor struct {
	server *client.Client
	wants  map[string]string // by step
}

// lines are the steps of a run, with who is asked. What cannot be found out is left out: the step says that it waits.
func (a *askedFor) lines(ctx context.Context, r client.Run, now time.Time) []line {
	lines := runLines(r)
	for i, s := range r.Steps {
		if s.Kind != "approve" || s.State != "waiting" || s.Reason != "" {
			continue
		}
		if _, known := a.wants[s.Name]; !known {
			approval, err := a.server.Approval(ctx, r.Pipeline, r.Number, s.Name)
			if err != nil {
				continue
			}
			if a.wants == nil {
				a.wants = map[string]string{}
			}
			a.wants[s.Name] = joined(", ", "waiting for "+approvalWants(approval), "expires "+in(approval.ExpiresAt, now))
		}
		lines[i].detail, lines[i].began = a.wants[s.Name], time.Time{}
	}
	return lines
}

// stepDetail says where a step is, or why it is not anywhere.
func stepDetail(s client.Step) string {
	release := ""
	if s.Release > 0 {
		release = fmt.Sprintf("release %d", s.Release)
	}
	switch s.State {
	case "pending":
		return ""
	case "queued", "waiting", "skipped", "canceled":
		return joined(", ", release, takenFrom(s), reasoned(s.State, s.Reason))
	case "failed":
		return joined(", ", release, s.Worker, testsOf(s), attemptsOf(s), failureOf(s))
	}
	return joined(", ", release, s.Worker, takenFrom(s), attemptsOf(s), s.Reason)
}

// takenFrom says in which run a step ended that this run took over.
func takenFrom(s client.Step) string {
	if s.From == 0 {
		return ""
	}
	return fmt.Sprintf("from run %d", s.From)
}

// attemptsOf says at which attempt a step is or passed, and how the one before it ended.
func attemptsOf(s client.Step) string {
	if s.Attempt < 2 {
		return ""
	}
	text := fmt.Sprintf("attempt %d", s.Attempt)
	if s.State == "passed" {
		text = "passed at " + text
	}
	if i := s.Attempt - 2; i < len(s.Attempts) {
		before := s.Attempts[i]
		text += fmt.Sprintf(" (%d %s)", before.Number, reasoned(before.State, before.Reason))
	}
	return text
}

// testsOf says what a step's tests came to; empty where it has no reports.
func testsOf(s client.Step) string {
	if s.Tests == nil {
		return ""
	}
	return s.Tests.Said
}

func failureOf(s client.Step) string {
	if s.Reason == "" && s.ExitCode != 0 {
		return fmt.Sprintf("exit code %d", s.ExitCode)
	}
	return s.Reason
}

// reasoned puts a state before its reason, unless the reason says it itself.
func reasoned(state, reason string) string {
	switch {
	case reason == "":
		return state
	case strings.HasPrefix(reason, state):
		return reason
	}
	return state + ": " + reason
}

// runEnd says how a run ended.
func runEnd(r client.Run, i ink) string {
	text := fmt.Sprintf("%s %s #%d %s in %s", i.mark(r.State), r.Pipeline, r.Number, r.State, lasted(r.FinishedAt.Sub(r.CreatedAt)))
	return joined(": ", text, r.Reason)
}

// logHint says where to read why steps failed.
func logHint(r client.Run) string {
	var hints []string
	for _, s := range r.Steps {
		if s.State == "failed" && s.Attempt > 0 {
			hints = append(hints, fmt.Sprintf("hint: towpath log %s %s", word(s.Name), runName(r)))
		}
	}
	return strings.Join(hints, "\n")
}

// word is a name as a shell takes it.
func word(name string) string {
	if strings.Contains(name, " ") {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// runText is all of a run at one moment.
func (c *Console) runText(title string, lines []line) string {
	p := &progress{console: c, ink: c.ink(), lines: lines}
	texts, widths := []string{title}, p.widths()
	for _, l := range lines {
		texts = append(texts, p.text(l, widths))
	}
	return strings.Join(texts, "\n")
}
