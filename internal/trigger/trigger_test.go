package trigger_test

import (
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/trigger"
)

func push(branch string, files ...string) towpath.Change {
	return towpath.Change{Trigger: towpath.TriggerPush, Branch: branch, Files: files}
}

func request(base string, files ...string) towpath.Change {
	return towpath.Change{
		Trigger: towpath.TriggerPullRequest, Branch: towpath.PullRequestLine(7), Files: files,
		Request: &towpath.PullRequest{Number: 7, Base: base, Head: "main"},
	}
}

func TestWhatStartsAPipeline(t *testing.T) {
	project := towpath.Project{DefaultBranch: "main"}
	byHand := towpath.Change{Trigger: towpath.TriggerManual, Branch: "any"}
	tag := towpath.Change{Trigger: towpath.TriggerTag, Branch: towpath.TagLine("v1/rc1")}
	clock := towpath.Change{Trigger: towpath.TriggerSchedule, Branch: "main", Pipelines: []string{"shop"}}
	after := towpath.Change{Trigger: towpath.TriggerPipeline, Branch: "main", Pipelines: []string{"docs", "shop"}}
	requests := func(branches, paths []string) towpath.Triggers {
		return towpath.Triggers{PullRequests: &towpath.PullRequestTriggers{Branches: branches, Paths: paths}}
	}
	only := func(c towpath.Change, names ...string) towpath.Change {
		c.Pipelines = names
		return c
	}
	everything := towpath.Triggers{
		Push: true, Branch: []string{"**"}, Manual: true, Tags: []string{"**"}, PullRequests: &towpath.PullRequestTriggers{},
		Schedules: []towpath.Schedule{{Cron: "0 3 * * *"}}, After: []string{"library"},
	}
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

		{"a tag by any glob", towpath.Triggers{Tags: []string{"**"}}, tag, true},
		{"a tag by its own", towpath.Triggers{Tags: []string{"x", "v1/*"}}, tag, true},
		{"a tag by another part of its name", towpath.Triggers{Tags: []string{"v*"}}, tag, false},
		{"a tag by the line's name", towpath.Triggers{Tags: []string{"tags/**"}}, tag, false},
		{"a tag where only pushes count", towpath.Triggers{Push: true, Branch: []string{"**"}}, tag, false},
		{"a push where only tags count", towpath.Triggers{Tags: []string{"**"}}, push("main"), false},

		{"a pull request to the default branch", requests(nil, nil), request("main"), true},
		{"a pull request to another", requests(nil, nil), request("next"), false},
		{"a pull request to one that is named", requests([]string{"ne*"}, nil), request("next"), true},
		{"a pull request by a path", requests(nil, []string{"shop/**"}), request("main", "shop/a"), true},
		{"a pull request outside of the paths", requests(nil, []string{"shop/**"}), request("main", "docs/a"), false},
		{"a pull request where only pushes count", towpath.Triggers{Push: true, Branch: []string{"**"}}, request("main"), false},
		{"a pull request of which nothing is known", requests(nil, nil), towpath.Change{Trigger: towpath.TriggerPullRequest}, false},

		{"the clock", towpath.Triggers{Schedules: everything.Schedules}, clock, true},
		{"the clock, for one that has none any more", towpath.Triggers{Push: true, Manual: true}, clock, false},
		{"the clock, for another", everything, only(clock, "docs"), false},
		{"after another", towpath.Triggers{After: []string{"library"}}, after, true},
		{"after another, for one that does not follow any more", towpath.Triggers{Push: true}, after, false},
		{"after another, for others", everything, only(after, "docs"), false},
		{"by hand, for another", everything, only(byHand, "docs"), false},
		{"something that is not known", everything, towpath.Change{Trigger: "moon", Branch: "main"}, false},
	} {
		if got := trigger.Matches("shop", c.triggers, project, c.change); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestWhichBranchesAreProtected(t *testing.T) {
	project := towpath.Project{DefaultBranch: "main", Protected: []string{"release/*", "tags/**", "**/**"}}
	for branch, want := range map[string]bool{"main": true, "release/1": true, "tags/v1": false, "pull/1": false, "": false} {
		if got := trigger.IsProtected(project, branch); got != want {
			t.Errorf("%q: %t", branch, got)
		}
	}
	project.Protected = []string{"release/*"}
	for branch, want := range map[string]bool{"main": true, "release/1": true, "release/1/2": false, "idea": false} {
		if got := trigger.IsProtected(project, branch); got != want {
			t.Errorf("%q: %t", branch, got)
		}
	}
}
