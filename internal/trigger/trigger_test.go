package trigger_test

import (
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/trigger"
)

func TestWhatStartsAPipeline(t *testing.T) {
	project := towpath.Project{DefaultBranch: "main"}
	push := func(branch string, files ...string) towpath.Change {
		return towpath.Change{Trigger: towpath.TriggerPush, Branch: branch, Files: files}
	}
	byHand := towpath.Change{Trigger: towpath.TriggerManual, Branch: "any"}
	for _, c := range []struct {
		name     string
		triggers towpath.Triggers
		change   towpath.Change
		want     bool
	}{
		{"the default branch", towpath.Triggers{Push: true}, push("main"), true},
		{"another branch", towpath.Triggers{Push: true}, push("idea"), false},
		{"a branch that is named", towpath.Triggers{Push: true, Branch: []string{"release/**"}}, push("release/2026/11"), true},
		{"the default branch where others are named", towpath.Triggers{Push: true, Branch: []string{"release/**"}}, push("main"), false},
		{"push is off", towpath.Triggers{Manual: true}, push("main"), false},
		{"a path inside", towpath.Triggers{Push: true, Paths: []string{"shop/**"}}, push("main", "README", "shop/a/b.go"), true},
		{"paths outside", towpath.Triggers{Push: true, Paths: []string{"shop/**"}}, push("main", "README"), false},
		{"files that are not known", towpath.Triggers{Push: true, Paths: []string{"shop/**"}}, push("main"), true},
		{"by hand, on any branch and path", towpath.Triggers{Manual: true, Paths: []string{"shop/**"}}, byHand, true},
		{"by hand where that is off", towpath.Triggers{Push: true}, byHand, false},
	} {
		if got := trigger.Matches(c.triggers, project, c.change); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
