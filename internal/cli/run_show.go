package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// hasEnded says that nothing more will happen to a run.
func hasEnded(r client.Run) bool { return r.State != "running" }

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
		return joined(", ", release, reasoned(s.State, s.Reason))
	case "failed":
		return joined(", ", release, s.Worker, failureOf(s))
	}
	attempt := ""
	if s.Attempt > 1 {
		attempt = fmt.Sprintf("attempt %d", s.Attempt)
	}
	return joined(", ", release, s.Worker, attempt, s.Reason)
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

// runEnd says how a run ended, and where to read on.
func runEnd(r client.Run, i ink) string {
	text := fmt.Sprintf("%s %s #%d %s in %s", i.mark(r.State), r.Pipeline, r.Number, r.State, lasted(r.FinishedAt.Sub(r.CreatedAt)))
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	for _, s := range r.Steps {
		if s.State == "failed" && s.Attempt > 0 {
			text += fmt.Sprintf("\nits log: towpath log %s %s", word(s.Name), runName(r))
		}
	}
	return text
}

// word is a name as a shell takes it.
func word(name string) string {
	if strings.Contains(name, " ") {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// runText is all of a run at one moment.
func (c *Console) runText(r client.Run) string {
	p := &progress{console: c, ink: c.ink(), title: runTitle(r), lines: runLines(r)}
	texts, widths := []string{p.title}, p.widths()
	for _, l := range p.lines {
		texts = append(texts, p.text(l, widths))
	}
	if hasEnded(r) {
		texts = append(texts, runEnd(r, p.ink))
	}
	return strings.Join(texts, "\n")
}
