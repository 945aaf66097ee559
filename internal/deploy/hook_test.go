package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// hooksAreRunOnce is what a hook owes: it is run at most once a deployment, whoever dies.
func hooksAreRunOnce(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	hook, is := o.(deploy.RunHook)
	if !is {
		return nothingMore, nil
	}
	if before := w.hooks[w.environment.Deployment.ID+string(hook.Hook)]; before > 0 {
		return nil, fmt.Errorf("%q was run before", o)
	}
	return nothingMore, nil
}

// hooked has all three hooks.
func (s *story) hooked(receipts ...towpath.HookReceipt) *story {
	s.environment.Definition.Hooks = towpath.HooksDefinition{Before: "./before.sh", After: "./after.sh", Failed: "./failed.sh"}
	if s.environment.Deployment != nil {
		s.environment.Deployment.Hooks = receipts
	}
	return s
}

func TestHooksStandAroundTheDeployment(t *testing.T) {
	plan := words(deploy.NewPlan(shop().serves(release41).wants(release42).hooked().facts()).Steps)
	conclusion := slices.Index(plan, "record that the goal is reached")
	if plan[0] != "hook before" || conclusion < 1 || plan[conclusion-1] != "hook after" || slices.Contains(plan, "hook failed") {
		t.Errorf("the plan is %q", plan)
	}
	plan = words(deploy.NewPlan(shop().serves(release41).wants(release42).hooked().giveUp().facts()).Steps)
	if conclusion = slices.Index(plan, "record that the goal is reached"); conclusion < 1 || plan[conclusion-1] != "hook failed" {
		t.Errorf("the plan back is %q", plan)
	}
}

func TestAHookThatWasCutOffStopsThePlanUntilAPersonLooks(t *testing.T) {
	cut := towpath.HookReceipt{Hook: towpath.HookBefore, State: towpath.HookBegun}
	steps := deploy.NewPlan(shop().serves(release41).wants(release42).hooked(cut).facts()).Steps
	if len(steps) != 2 || steps[0].Operation != (deploy.LoseHook{Hook: towpath.HookBefore}) {
		t.Fatalf("the plan is %q", words(steps))
	}
	wait, is := steps[1].Operation.(deploy.Await)
	if !is || !wait.Until.IsZero() || !strings.Contains(wait.Why, "nobody knows what it has done") {
		t.Errorf("the plan is %q", words(steps))
	}
	steps = deploy.NewPlan(shop().serves(release41).wants(release42).hooked(cut).giveUp().facts()).Steps
	if plan := words(steps); slices.Contains(plan, wait.String()) || !slices.Contains(plan, "record that the goal is reached") {
		t.Errorf("the plan back is %q", plan)
	}
}

func TestAHookThatFailedIsNotTriedAgain(t *testing.T) {
	broke := towpath.HookReceipt{Hook: towpath.HookBefore, State: towpath.HookBroke, Problem: "exit status 3"}
	steps := deploy.NewPlan(shop().serves(release41).wants(release42).hooked(broke).facts()).Steps
	condemned, is := steps[0].Operation.(deploy.Condemn)
	if len(steps) != 1 || !is || condemned.Reason != "the hook before failed: exit status 3" {
		t.Errorf("the plan is %q", words(steps))
	}
}
