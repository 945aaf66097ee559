package pipeline

import (
	"cmp"
	"fmt"

	"github.com/towpath-cd/towpath"
)

func (w *writer) triggers(t towpath.Triggers) {
	w.open(0, "on")
	if t.Push && len(t.Branch)+len(t.Paths) > 0 {
		w.open(1, "push")
		w.put(2, "branches", t.Branch)
		w.put(2, "paths", t.Paths)
	} else {
		w.put(1, "push", t.Push)
	}
	if t.Poll == 0 {
		w.put(1, "poll", "off")
	} else {
		w.put(1, "poll", t.Poll)
	}
	if len(t.Tags) == 0 {
		w.put(1, "tag", false)
	} else {
		w.put(1, "tag", t.Tags)
	}
	w.pullRequests(t.PullRequests)
	w.schedules(t.Schedules)
	w.put(1, "pipeline", t.After)
	w.manual(t)
}

func (w *writer) pullRequests(t *towpath.PullRequestTriggers) {
	if t == nil || len(t.Branches)+len(t.Paths) == 0 {
		w.put(1, "pull_request", t != nil)
		return
	}
	w.open(1, "pull_request")
	w.put(2, "branches", t.Branches)
	w.put(2, "paths", t.Paths)
}

func (w *writer) schedules(schedules []towpath.Schedule) {
	if len(schedules) == 0 {
		return
	}
	w.open(1, "schedule")
	for _, s := range schedules {
		fmt.Fprintf(w, "    - cron: %s\n", scalarText(s.Cron))
		w.put(3, "zone", cmp.Or(s.Zone, utc))
	}
}

func (w *writer) manual(t towpath.Triggers) {
	if !t.Manual || len(t.Inputs) == 0 {
		w.put(1, "manual", t.Manual)
		return
	}
	w.open(1, "manual")
	w.open(2, "inputs")
	for _, i := range t.Inputs {
		w.open(3, i.Name)
		w.put(4, "type", string(i.Kind))
		w.put(4, "choices", i.Choices)
		switch {
		case i.Required:
		case i.Default == "":
			fmt.Fprintf(w, "        default: \"\"\n")
		default:
			w.put(4, "default", i.Default)
		}
	}
}
