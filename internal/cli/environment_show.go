package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// environmentState is the state of an environment, as marks know it.
func environmentState(e client.Environment) string {
	switch {
	case e.Halted != "":
		return "halted"
	case e.Deployment != nil:
		return e.Deployment.State
	case e.Health != nil && e.Health.State == "ailing":
		return "failing"
	case e.Live != nil:
		return "live"
	}
	return ""
}

// environmentDetail says in one line what moves, holds or ails an environment.
func environmentDetail(e client.Environment, now time.Time) string {
	waiting := len(e.Queue)
	e.Queue = nil
	details := environmentDetails(e, now)
	if waiting > 0 {
		details = append(details, counted(waiting, "deployment")+" waiting")
	}
	return strings.Join(details, "; ")
}

// deploymentMove says what a deployment does now.
func deploymentMove(d client.Deployment, e client.Environment) string {
	if d.State == "returning" {
		back := "nothing"
		if e.Goal != nil {
			back = fmt.Sprintf("release %d", e.Goal.Number)
		}
		return joined(": ", "going back to "+back, joined(", ", d.Outcome, e.Doing))
	}
	return joined(": ", fmt.Sprintf("%s release %d", d.State, d.Release), e.Doing)
}

// releaseText is a release in a row of a table.
func releaseText(r *client.Release) string {
	if r == nil || r.Number == 0 {
		return "nothing"
	}
	text := fmt.Sprintf("release %d", r.Number)
	if r.Revision != "" {
		text += " (" + short(r.Revision) + ")"
	}
	return text
}

func (c *Console) environmentTable(environments []client.Environment) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "environment", "live", "since", "url", "")
	for _, e := range environments {
		t.add(i.mark(environmentState(e)), e.Key, releaseText(e.Live), ago(e.LiveAt, now), e.URL, environmentDetail(e, now))
	}
	return t
}

// seenTables is what was seen of an environment's instances, and of what runs beside them.
func (c *Console) seenTables(e client.Environment) string {
	text := c.instanceTable(e).String()
	if len(e.Processes) == 0 {
		return text
	}
	t := newTable(c.ink(), "process", "of", "release", "state", "")
	for _, p := range e.Processes {
		name := p.Name
		if p.Single {
			name += " (single)"
		}
		t.add(name, p.Instance, fmt.Sprint(p.Release), p.State, p.Problem)
	}
	return text + "\n" + t.String()
}

// instanceTable is what was seen of an environment's instances.
func (c *Console) instanceTable(e client.Environment) *table {
	t := newTable(c.ink(), "instance", "release", "state", "health", "address", "share", "requests", "streams", "")
	for _, n := range e.Instances {
		t.add(n.ID, fmt.Sprint(n.Release), n.State, n.Health, n.Address, fmt.Sprintf("%d%%", n.Weight),
			grouped(n.Requests), grouped(n.Streams), n.Problem)
	}
	return t
}
