package pipeline

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestWhenIsDecidedOverTheChange(t *testing.T) {
	change := towpath.Change{
		Branch: "main", Revision: "9be07d4", Author: "ana", Message: "faster checkout\n\n[deploy]", Trigger: towpath.TriggerPush,
		Files: []string{"services/shop/cart/cart.go", "README.md"},
	}
	cases := map[string]bool{
		`branch == "main"`:                                     true,
		`branch != "main"`:                                     false,
		`branch matches "^release/"`:                           false,
		`branch in ["main", "next"]`:                           true,
		`message contains "[deploy]" and author == "ana"`:      true,
		`lower(author) startsWith "b"`:                         false,
		`changed("services/shop/**")`:                          true,
		`changed("services/*/x.go")`:                           false,
		`changed("**/*.go") && !changed("docs/**")`:            true,
		`trigger == "manual"`:                                  false,
		`revision == "9be07d4"`:                                true,
		`always() && branch == "other"`:                        false,
		`failed() && (branch == "main" || changed("docs/**"))`: true,
	}
	for expression, holds := range cases {
		p := decide(t, "pipeline: a\nsteps:\n  - run: a\n    script: a\n    when: '"+expression+"'\n", change)
		excluded := p.Steps[0].Excluded
		if (excluded == "") != holds {
			t.Errorf("%s: want %v, got excluded %q", expression, holds, excluded)
		}
		if excluded != "" && excluded != "when "+expression+" does not hold" {
			t.Errorf("%s: the reason does not name it: %q", expression, excluded)
		}
	}
}

func TestWhenNamesWhatTheChangeCameFrom(t *testing.T) {
	tag := towpath.Change{Branch: towpath.TagLine("v1.2"), Trigger: towpath.TriggerTag}
	request := towpath.Change{
		Branch: towpath.PullRequestLine(7), Trigger: towpath.TriggerPullRequest, Request: &towpath.PullRequest{Number: 7, Base: "main"},
	}
	asked := towpath.Change{
		Branch: "main", Trigger: towpath.TriggerManual,
		Inputs: map[string]string{"size": "large", "count": "2.5", "publish": "yes", "need": "x"},
	}
	const on = "on: {manual: {inputs: {size: {type: choice, choices: [small, large], default: small}, count: {type: number, default: 3}, " +
		"publish: {type: yes/no}, need: {}, many: {type: number}}}}\n"
	for _, c := range []struct {
		change     towpath.Change
		expression string
		holds      bool
	}{
		{tag, `tag == "v1.2" && branch == "tags/v1.2"`, true},
		{tag, `pull_request != 0 || base != ""`, false},
		{request, `pull_request == 7 && base == "main" && tag == ""`, true},
		{request, `branch == "pull/7" && trigger == "pull_request"`, true},
		{asked, `inputs.size == "large" && inputs.count > 2 && inputs.count < 3 && inputs.publish`, true},
		{asked, `!inputs.publish`, false},
		{asked, `inputs.need startsWith "x" and inputs["size"] in ["large"]`, true},
		{tag, `inputs.size == "small" && inputs.count == 3`, true},
		{tag, `inputs.publish || inputs.need != "" || inputs.many != 0`, false},
	} {
		p := decide(t, "pipeline: a\n"+on+"steps:\n  - run: a\n    script: a\n    when: '"+c.expression+"'\n", c.change)
		if (p.Steps[0].Excluded == "") != c.holds {
			t.Errorf("%s for %s: excluded %q", c.expression, c.change.Branch, p.Steps[0].Excluded)
		}
	}
	file := parse(t, "pipeline: a\n"+on+"steps: [{run: a, script: a, when: inputs.size}]")
	if _, err := file.Pipeline(asked); err == nil || !strings.Contains(err.Error(), "when of a cannot be decided") {
		t.Errorf("a text as a condition: %v", err)
	}
}

func TestWhereFilesAreNotKnownEverythingCountsAsChanged(t *testing.T) {
	const text = "pipeline: a\nsteps: [{run: a, script: a, when: 'changed(\"docs/**\")'}]"
	if got := decide(t, text, towpath.Change{}).Steps[0].Excluded; got != "" {
		t.Errorf("unknown files: left out because %s", got)
	}
	if got := decide(t, text, towpath.Change{Files: []string{}}).Steps[0].Excluded; got == "" {
		t.Error("no files: not left out")
	}
}

func TestOutcomesAreTakenApartFromTheChange(t *testing.T) {
	cases := map[string]towpath.Condition{
		`always()`:                    towpath.WhenAlways,
		`failed()`:                    towpath.WhenFailed,
		`branch == "a" && always()`:   towpath.WhenAlways,
		`failed() and branch == "a"`:  towpath.WhenFailed,
		`branch == "a" || true`:       towpath.WhenPassed,
		`message == "always()"`:       towpath.WhenPassed,
		`(failed() && branch == "a")`: towpath.WhenFailed,
	}
	for expression, want := range cases {
		p := decide(t, "pipeline: a\nsteps:\n  - run: a\n    script: a\n    when: '"+expression+"'\n", towpath.Change{Branch: "a"})
		if got := p.Steps[0]; got.When != want {
			t.Errorf("%s: want %s, got %s", expression, want, got.When)
		}
	}
}

func TestWhatCannotBeDecidedNamesItsStep(t *testing.T) {
	file := parse(t, "pipeline: a\nsteps:\n  - run: tidy\n    script: a\n    when: branch matches message\n")
	_, err := file.Pipeline(towpath.Change{Branch: "main", Message: "(("})
	if towpath.CodeOf(err) != towpath.CodeInvalid || !strings.Contains(err.Error(), "towpath.yaml:3: when of tidy cannot be decided") {
		t.Errorf("got %v", err)
	}
}

func TestDecidingForOneChangeLeavesTheFileAsItWas(t *testing.T) {
	file := parse(t, "pipeline: a\nsteps: [{run: a, script: a, when: 'branch == \"main\"'}]")
	for _, branch := range []string{"other", "main"} {
		p, err := file.Pipeline(towpath.Change{Branch: branch})
		if err != nil {
			t.Fatal(err)
		}
		if (p.Steps[0].Excluded == "") != (branch == "main") {
			t.Errorf("%s: %q", branch, p.Steps[0].Excluded)
		}
	}
}
