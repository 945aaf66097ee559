package web

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func TestWhatRunsBesideInstancesIsToldWithTheLastLinesOfWhatDoesNot(t *testing.T) {
	var answer client.Environment
	observe(towpath.Environment{}, towpath.Observation{
		Instances: []towpath.Instance{{ID: "r42-1", Release: 42, Processes: []towpath.Process{
			{Name: "jobs", State: towpath.InstanceFailing, Problem: "ended with exit code 7", Log: []string{"no <queue>"}},
		}}},
		Singles: []towpath.Single{{Process: "clock", Instance: "r41-3", State: towpath.InstanceRunning}},
	}, &answer)
	want := []client.Process{
		{Name: "jobs", Instance: "r42-1", Release: 42, State: "failing", Problem: "ended with exit code 7", Log: []string{"no <queue>"}},
		{Name: "clock", Instance: "r41-3", Release: 41, Single: true, State: "running"},
	}
	if diff := cmp.Diff(want, answer.Processes); diff != "" {
		t.Error(diff)
	}
	var shown strings.Builder
	if err := page.EnvironmentInstances(page.Environment{Environment: answer}).Render(t.Context(), &shown); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<code>no &lt;queue&gt;</code>", "ended with exit code 7", "(single)", "clock"} {
		if !strings.Contains(shown.String(), text) {
			t.Errorf("the page does not show %q", text)
		}
	}
}

func TestWhereASingleProcessWaitsForItsHostItsPersonHasAButton(t *testing.T) {
	e := towpath.Environment{
		Definition: towpath.EnvironmentDefinition{Target: towpath.TargetDefinition{Hosts: &towpath.HostsTarget{
			Port: 8000, Hosts: []towpath.Host{{Name: "web1"}, {Name: "web2"}},
		}}},
		Singles: map[string]towpath.Assignment{"clock": {Instance: "r41-3", Slot: "web2"}, "mail": {Instance: "r41-2", Slot: "web1"}},
	}
	var slots []towpath.Slot
	for _, s := range e.Definition.Target.Slots() {
		if s.Host == "web2" {
			s.Problem = "no route to host"
		}
		slots = append(slots, s)
	}
	var answer client.Environment
	observe(e, towpath.Observation{Slots: slots}, &answer)
	want := []client.Process{{
		Name: "clock", Instance: "r41-3", Release: 41, Single: true, State: "unknown", Problem: "its host does not answer", Silent: "web2",
	}}
	if diff := cmp.Diff(want, answer.Processes); diff != "" {
		t.Error(diff)
	}
	for _, may := range []bool{true, false} {
		var shown strings.Builder
		if err := page.EnvironmentInstances(page.Environment{Environment: answer, CanDeploy: may}).Render(t.Context(), &shown); err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(shown.String(), "clock is gone there"); has != may {
			t.Errorf("who may deploy: %v; the button is there: %v", may, has)
		}
	}
}
