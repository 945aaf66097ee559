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
