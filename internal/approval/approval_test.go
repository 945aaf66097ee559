package approval_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/approval"
)

// waiting is a run that waits for a decision, with a build before it and a deployment behind it.
func waiting() towpath.Run {
	steps := []towpath.StepDefinition{
		{Name: "shop", Kind: towpath.KindBuild, Script: &towpath.ScriptDefinition{}},
		{Name: "release", Kind: towpath.KindApprove, Needs: []string{"shop"}, Approve: &towpath.ApproveDefinition{By: []string{"managers"}, Count: 1, Within: time.Hour}},
		{Name: "live", Kind: towpath.KindDeploy, Needs: []string{"release"}, Deploy: "production"},
		{Name: "aside", Kind: towpath.KindDeploy, Deploy: "staging"},
	}
	run := towpath.NewRun("r1", "p1", 1, towpath.Pipeline{
		Name: "shop", Steps: steps,
		Environments: []towpath.EnvironmentDefinition{{Name: "production"}, {Name: "staging"}},
	}, towpath.Change{Revision: "aaaaaaa", Branch: "main", AuthorEmail: "ada@example.com"})
	run.Steps[0].Artifacts = []towpath.Artifact{{Step: "shop", Digest: "sha256:aa"}}
	return run
}

func TestADecisionBindsTheRevisionTheBytesTheEnvironmentsAndThePolicy(t *testing.T) {
	run := waiting()
	intent := approval.Intent(run, run.Steps[1])
	for name, change := range map[string]func(*towpath.Run){
		"the revision":    func(r *towpath.Run) { r.Change.Revision = "bbbbbbb" },
		"the bytes":       func(r *towpath.Run) { r.Steps[0].Artifacts[0].Digest = "sha256:bb" },
		"an environment":  func(r *towpath.Run) { r.Environments[0].Instances = 7 },
		"who may decide":  func(r *towpath.Run) { r.Steps[1].Approve.By = []string{"anybody"} },
		"how many decide": func(r *towpath.Run) { r.Steps[1].Approve.Count = 0 },
	} {
		other := waiting()
		change(&other)
		if approval.Intent(other, other.Steps[1]) == intent {
			t.Errorf("%s may change after the decision", name)
		}
	}
	other := waiting()
	other.Environments[1].Instances = 7
	if approval.Intent(other, other.Steps[1]) != intent {
		t.Error("it binds an environment that is not behind it")
	}
}

func TestOutcomesAreToldInWords(t *testing.T) {
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	a := towpath.Approval{AskedAt: at, ExpiresAt: at.Add(time.Hour), Decisions: []towpath.Decision{
		{Account: "mira", Approved: true}, {Account: "bob", Reason: "not on a Friday"},
	}}
	a.State = towpath.ApprovalRejected
	if got := approval.Outcome(a); got != "approved by mira, rejected by bob: not on a Friday" {
		t.Errorf("it says %q", got)
	}
	a.State, a.Decisions = towpath.ApprovalExpired, a.Decisions[:1]
	if got := approval.Outcome(a); got != "approved by mira, expired after 1h0m0s" {
		t.Errorf("it says %q", got)
	}
}

func TestWhichRefsAPolicyAllows(t *testing.T) {
	refs := func(globs ...string) towpath.Policy {
		return towpath.Policy{Environment: "shop/production", Refs: globs}
	}
	for _, c := range []struct {
		environment string
		policy      towpath.Policy
		branches    []string // of the file
		branch      string
		trusted     bool
		want        string
	}{
		{"production", refs("main", "hotfix/*"), nil, "hotfix/cart", false, ""}, // the server may allow what is not protected
		{"production", refs("tags/v*"), nil, "tags/v2", true, ""},
		{"production", refs("tags/v*"), nil, "main", true, "the policy of shop/production does not allow main: it allows tags/v*"},
		{"production", refs("main"), nil, "main/x", true, "the policy of shop/production does not allow main/x: it allows main"},
		{"production", refs("**"), []string{"main"}, "idea", true, "production takes only branches main"}, // the file narrows
		{"production", towpath.Policy{Environment: "shop/production", Refs: []string{}}, nil, "main", true, "the policy of shop/production does not allow main: it allows nothing"},
		{"staging", towpath.Policy{Protected: true}, nil, "idea", false, "staging is protected: idea is not a protected branch"},
		{"staging", towpath.Policy{Protected: true}, nil, "main", true, ""},
	} {
		change := towpath.Change{Branch: c.branch, Trusted: c.trusted}
		d := towpath.EnvironmentDefinition{Name: c.environment, Branches: c.branches}
		if got := approval.BarsBranch(change, d, c.policy); got != c.want {
			t.Errorf("%s at %s with %s: %q, want %q", c.branch, c.environment, c.policy, got, c.want)
		}
		change.Request = &towpath.PullRequest{Fork: true}
		if approval.BarsBranch(change, d, c.policy) == "" {
			t.Errorf("a fork's %s reaches %s with %s", c.branch, c.environment, c.policy)
		}
	}
}

func TestWhichBranchesReachAnEnvironment(t *testing.T) {
	for _, c := range []struct {
		environment string
		branches    []string
		branch      string
		trusted     bool
		want        string
	}{
		{"production", nil, "main", true, ""},
		{"production", nil, "idea", false, "production is protected: idea is not a protected branch"},
		{"production", []string{"idea"}, "idea", false, "production is protected: idea is not a protected branch"}, // a file can only narrow
		{"staging", nil, "idea", false, ""},
		{"staging", []string{"release/**"}, "release/2026/11", false, ""},
		{"staging", []string{"main", "hotfix-*"}, "idea", false, "staging takes only branches main, hotfix-*"},
	} {
		change := towpath.Change{Branch: c.branch, Trusted: c.trusted}
		got := approval.BarsBranch(change, towpath.EnvironmentDefinition{Name: c.environment, Branches: c.branches}, towpath.Policy{})
		if got != c.want {
			t.Errorf("%s at %s: %q, want %q", c.branch, c.environment, got, c.want)
		}
		change.Request = &towpath.PullRequest{Fork: true}
		if approval.BarsBranch(change, towpath.EnvironmentDefinition{Name: c.environment, Branches: c.branches}, towpath.Policy{}) == "" {
			t.Errorf("a fork's %s reaches %s", c.branch, c.environment)
		}
	}
}
