package pipeline

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/towpath-cd/towpath"
)

// parse reads a file that has to be right.
func parse(t *testing.T, text string) *File {
	t.Helper()
	file, problems := Parse("towpath.yaml", []byte(text))
	if file == nil {
		t.Fatalf("refused:\n%s", problems)
	}
	return file
}

// decide answers the pipeline for a change.
func decide(t *testing.T, text string, change towpath.Change) towpath.Pipeline {
	t.Helper()
	p, err := parse(t, text).Pipeline(change)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func step(t *testing.T, p towpath.Pipeline, name string) towpath.StepDefinition {
	t.Helper()
	for _, s := range p.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %s", name)
	return towpath.StepDefinition{}
}

func TestTheUsualFileBecomesAPipeline(t *testing.T) {
	text, err := os.ReadFile("testdata/right/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := decide(t, string(text), towpath.Change{})
	production, _ := p.Environment("production")
	want := towpath.EnvironmentDefinition{
		Name: "production", Line: 24, URL: "https://shop.example.com", Instances: 1, Minimum: 1,
		Target: towpath.TargetDefinition{Process: &towpath.ProcessTarget{
			Command: "./shop", Stop: towpath.StopDefinition{Signal: "TERM", Within: 10 * time.Second},
		}},
		Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyBlueGreen, Standby: time.Hour},
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "shop.example.com", Listen: "127.0.0.1:8080"}},
		Health: towpath.HealthDefinition{
			HTTP: "/healthz", Within: time.Minute, Interval: time.Second, Timeout: 5 * time.Second, Rises: 1,
		},
		Drain: towpath.DrainDefinition{Requests: 30 * time.Second, Streams: 5 * time.Minute},
	}
	if diff := cmp.Diff(want, production); diff != "" {
		t.Errorf("production (-want +got):\n%s", diff)
	}
	deploy := step(t, p, "production")
	if diff := cmp.Diff(towpath.StepDefinition{
		Name: "production", Kind: towpath.KindDeploy, Line: 19, Needs: []string{"release"}, When: towpath.WhenPassed,
		Deploy: "production", Ships: []string{"shop"},
	}, deploy); diff != "" {
		t.Errorf("deploy production (-want +got):\n%s", diff)
	}
	if want := (towpath.Triggers{Push: true, Poll: 2 * time.Minute, Manual: true}); !cmp.Equal(want, p.Triggers) {
		t.Errorf("triggers: want %+v, got %+v", want, p.Triggers)
	}
}

func TestAStepWithoutNeedsWaitsForAllThatNothingAboveWaitsFor(t *testing.T) {
	p := decide(t, `
pipeline: fan
steps:
  - {build: a, run: x, artifacts: out}
  - {build: b, run: x, needs: [], artifacts: out}
  - {build: c, run: x, needs: [a]}
  - {test: joins, run: x}
  - {test: after, run: x}
  - {test: apart, run: x, needs: []}
  - {run: last, script: x}
`, towpath.Change{})
	want := map[string][]string{
		"a": {}, "b": {}, "c": {"a"}, "joins": {"b", "c"}, "after": {"joins"}, "apart": {}, "last": {"after", "apart"},
	}
	for name, needs := range want {
		if got := step(t, p, name).Needs; !cmp.Equal(needs, got) {
			t.Errorf("%s needs %v, want %v", name, got, needs)
		}
	}
	if got := step(t, p, "last").Script.Uses; !cmp.Equal([]string{"a", "b"}, got) {
		t.Errorf("last uses %v, want a and b, which it needs indirectly", got)
	}
	if got := step(t, p, "c").Script.Uses; !cmp.Equal([]string{"a"}, got) {
		t.Errorf("c uses %v, want only what it needs", got)
	}
}

func TestTriggersFollowFromWhatOnNames(t *testing.T) {
	const two = 2 * time.Minute
	cases := map[string]towpath.Triggers{
		``:                  {Push: true, Poll: two, Manual: true},
		`on: {poll: 5s}`:    {Push: true, Poll: 5 * time.Second, Manual: true},
		`on: {poll: off}`:   {Push: true, Manual: true},
		`on: {poll: false}`: {Push: true, Manual: true},
		`on: {poll: true}`:  {Push: true, Poll: two, Manual: true},
		`on: {push: {branches: main, paths: []}}`: {Push: true, Branch: []string{"main"}, Paths: []string{}, Poll: two, Manual: true},
		`on: {push: true, manual: false}`:         {Push: true, Poll: two},
		`on: {manual: true}`:                      {Manual: true},
		`on: {manual: {}}`:                        {Manual: true},
		`on: {push: false}`:                       {Manual: true},
	}
	for on, want := range cases {
		got := parse(t, "pipeline: a\nsteps: [{run: a, script: a}]\n"+on).Triggers()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", on, diff)
		}
	}
}

func TestLostWorkersAreSurvivedWhereThatIsSafe(t *testing.T) {
	p := decide(t, "pipeline: a\nsteps: [{build: a, run: x}, {test: b, run: x}, {run: c, script: x}, {run: d, script: x, retry: {lost: 1}}, {build: e, run: x, retry: {lost: 0}}]",
		towpath.Change{})
	for name, lost := range map[string]int{"a": towpath.MaxLost, "b": towpath.MaxLost, "c": 0, "d": 1, "e": 0} {
		if got := step(t, p, name).Script.Retry.Lost; got != lost {
			t.Errorf("%s survives %d lost workers, want %d", name, got, lost)
		}
	}
}

func TestANumberAloneIsHowManyFailuresAreSurvived(t *testing.T) {
	p := decide(t, "pipeline: a\nsteps: [{build: a, run: x, retry: 2}, {run: b, script: x, retry: {times: 1, codes: [75]}}, {test: c, run: x}]",
		towpath.Change{})
	for name, want := range map[string]towpath.Retry{
		"a": {Lost: towpath.MaxLost, Times: 2}, "b": {Times: 1, Codes: []int{75}}, "c": {Lost: towpath.MaxLost},
	} {
		if diff := cmp.Diff(want, step(t, p, name).Script.Retry); diff != "" {
			t.Errorf("retry of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAFileInTheFolderIsNamedByItself(t *testing.T) {
	file, problems := Parse(".towpath/checkout.yaml", []byte("steps: [{run: a, script: a}]"))
	if file == nil || file.Name() != "checkout" {
		t.Fatalf("got %v, %s", file, problems)
	}
	if _, problems := Parse(".towpath/Check Out.yaml", []byte("steps: [{run: a, script: a}]")); problems.Errors() != 1 {
		t.Errorf("want one error about the name, got:\n%s", problems)
	}
}

func TestLocateFindsPipelineFilesOnly(t *testing.T) {
	got := Locate([]string{
		"README.md", ".towpath/shop.yaml", "towpath.yaml", "sub/towpath.yaml", ".towpath/deep/x.yaml", ".towpath/notes.txt",
		".towpath/cart.yaml", "towpath.yaml",
	})
	if diff := cmp.Diff([]string{".towpath/cart.yaml", ".towpath/shop.yaml", "towpath.yaml"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsBecomeOneErrorForPrograms(t *testing.T) {
	problems := Check("towpath.yaml", []byte("pipeline: a\nstep: []\nsteps: [{run: a, scrip: b}]"))
	err := problems.Err()
	if towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Fatalf("want an invalid, got %v", err)
	}
	const want = `towpath.yaml:2:1: unknown key "step", and 2 errors more (did you mean "steps"?)`
	if err.Error() != want {
		t.Errorf("want %s\ngot  %s", want, err)
	}
	if err := (Problems{{Severity: SeverityWarning}}).Err(); err != nil {
		t.Errorf("a warning is no error: %v", err)
	}
}

func TestAFileWithEndlessMistakesIsToldInBounds(t *testing.T) {
	problems := Check("towpath.yaml", []byte("pipeline: a\nsteps:\n"+strings.Repeat("  - x\n", 5000)))
	if len(problems) != maxProblems {
		t.Fatalf("want %d, got %d", maxProblems, len(problems))
	}
	if last := problems[maxProblems-1]; last.Hint != "and 4900 problems more, not shown" {
		t.Errorf("the last does not say that there are more: %+v", last)
	}
}

func TestWhatIsNamedUnderOnDecidesAboutPushes(t *testing.T) {
	for on, want := range map[string]towpath.Triggers{
		"":                                   {Push: true, Poll: 2 * time.Minute, Manual: true},
		"on: {}":                             {Push: true, Poll: 2 * time.Minute, Manual: true},
		"on: {poll: 30s}":                    {Push: true, Poll: 30 * time.Second, Manual: true},
		"on: {manual: true}":                 {Manual: true},
		"on: {push: true, manual: false}":    {Push: true, Poll: 2 * time.Minute},
		"on: {tag: true}":                    {Poll: 2 * time.Minute, Manual: true, Tags: []string{"**"}},
		"on: {tag: false, schedule: []}":     {Push: true, Poll: 2 * time.Minute, Manual: true},
		"on: {tag: v1, push: {}, poll: off}": {Push: true, Manual: true, Tags: []string{"v1"}},
		"on: {pull_request: true}":           {Manual: true, PullRequests: &towpath.PullRequestTriggers{}},
		"on: {pipeline: b, manual: false}":   {After: []string{"b"}},
		"on: {schedule: '0 3 * * *'}":        {Manual: true, Schedules: []towpath.Schedule{{Cron: "0 3 * * *"}}},
	} {
		got := parse(t, "pipeline: a\n"+on+"\nsteps: [{run: a, script: a}]").Triggers()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", on, diff)
		}
	}
}
