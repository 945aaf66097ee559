package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
)

// same compares pipelines wherever their parts stand in their files.
func same(a, b towpath.Pipeline) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(towpath.StepDefinition{}, "Line"),
		cmpopts.IgnoreFields(towpath.EnvironmentDefinition{}, "Line"))
}

// expandsToItself checks what Expand promises, for one file.
func expandsToItself(t rapid.TB, text string) {
	file, problems := Parse("towpath.yaml", []byte(text))
	if file == nil {
		t.Fatalf("refused:\n%s\n%s", text, problems)
	}
	expanded := file.Expand()
	again, problems := Parse("towpath.yaml", expanded)
	if again == nil {
		t.Fatalf("what it expands to is refused:\n%s\n%s", expanded, problems)
	}
	if diff := same(file.pipeline, again.pipeline); diff != "" {
		t.Fatalf("expanded, it means something else (-file +expanded):\n%s\n%s", diff, expanded)
	}
	if twice := again.Expand(); string(twice) != string(expanded) {
		t.Fatalf("expanding twice changes it:\n%s", cmp.Diff(string(expanded), string(twice)))
	}
}

func TestEveryRightFileMeansTheSameWhenExpanded(t *testing.T) {
	eachFile(t, "right", func(t *testing.T, _ string, data []byte) { expandsToItself(t, string(data)) })
}

func TestAnyFileMeansTheSameWhenExpanded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { expandsToItself(t, drawFile(t)) })
}

func TestTextsOfAnyKindSurviveExpanding(t *testing.T) {
	texts := []string{
		"a\nb", "a\n\nb\n", "a\n\n", " a\nb", "a\n b\n  c", "a \nb", "\ta\nb", "#a\nb", "- a\nb", "a: b\nc", "'", `"`, `\`, "%", "@", "`",
		"1.10", "yes", "~", "null", "0x10", "1e3", ".5", "a #b", "a: b", "[a", "{a", "*a", "&a", "!a", "|", ">", "é\nü", "a\u2028b", "a\rb",
		"a\r\nb", "a\nb\n  ", "---", "---\na", "...\na", "a\n---\nb", "\u0085x", "\ufeffx", "a\tb", "a\n\tb", `a "b" 'c'`, "on", "2024-01-01",
	}
	for _, text := range texts {
		file := parse(t, "pipeline: a\nsteps: [{run: a, script: x}]")
		file.pipeline.Steps[0].Script.Run = text
		file.pipeline.Steps[0].Script.Env = map[string]string{"A": text, "null": text}
		expanded := file.Expand()
		again, problems := Parse("towpath.yaml", expanded)
		if again == nil {
			t.Errorf("%q:\n%s\n%s", text, expanded, problems)
			continue
		}
		if diff := same(file.pipeline, again.pipeline); diff != "" {
			t.Errorf("%q:\n%s\n%s", text, expanded, diff)
		}
	}
}

// drawFile writes a file of steps in a random order of needs, with random settings, to one or two environments.
func drawFile(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("pipeline: shop\n")
	if rapid.Bool().Draw(t, "triggers") {
		drawTriggers(t, &b)
	}
	b.WriteString("steps:\n")
	for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
		drawStep(t, &b, i)
	}
	b.WriteString("  - deploy: production\nenvironments:\n  production:\n")
	drawEnvironment(t, &b)
	return b.String()
}

func drawTriggers(t *rapid.T, b *strings.Builder) {
	b.WriteString("on:\n  tag: [v1]\n") // so that something starts it
	for _, key := range []struct {
		name   string
		values []string
	}{
		{"push", []string{"true", "false", "{branches: main}", `{paths: ["a/**", b]}`}},
		{"poll", []string{"off", "3s", "1h"}},
		{"pull_request", []string{"true", "false", "{branches: [main]}", "{paths: a}", "{}"}},
		{"schedule", []string{`"0 3 * * *"`, `[{cron: "*/5 * * * *", zone: Europe/Vienna}, "0 3 * * *"]`, "[]", `{cron: "0 3 * * *", zone: UTC}`}},
		{"pipeline", []string{"library", "[library, tools]", "[]"}},
		{"manual", []string{"true", "false", "{}", "{inputs: {a: {}, b: {type: number, default: 3}, c: {type: choice, choices: [x, y]}, d: {type: yes/no, default: true}}}"}},
	} {
		if value := rapid.SampledFrom(append(key.values, "")).Draw(t, key.name); value != "" {
			fmt.Fprintf(b, "  %s: %s\n", key.name, value)
		}
	}
}

func drawStep(t *rapid.T, b *strings.Builder, i int) {
	kind := rapid.SampledFrom([]string{"build", "test", "run", "approve"}).Draw(t, "kind")
	fmt.Fprintf(b, "  - %s: s%d\n", kind, i)
	if rapid.Bool().Draw(t, "needs") {
		needs := ""
		for n := range i {
			if rapid.Bool().Draw(t, "need") {
				needs += fmt.Sprintf("s%d, ", n)
			}
		}
		fmt.Fprintf(b, "    needs: [%s]\n", needs)
	}
	if rapid.Bool().Draw(t, "when") {
		fmt.Fprintf(b, "    when: %s\n", rapid.SampledFrom([]string{"always()", `branch == "main"`, `failed() && changed("a/**")`}).Draw(t, "expression"))
	}
	if kind == "approve" {
		fmt.Fprintf(b, "    by: [ana, ben]\n    count: %d\n    within: %s\n", rapid.IntRange(1, 9).Draw(t, "count"), drawDuration(t))
		return
	}
	source := map[string]string{"build": "run", "test": "run", "run": "script"}[kind]
	fmt.Fprintf(b, "    %s: %s\n    timeout: %s\n", source, drawText(t, "script"), drawDuration(t))
	if rapid.Bool().Draw(t, "artifacts") {
		b.WriteString("    artifacts: [dist/]\n")
	}
	if rapid.IntRange(0, 3).Draw(t, "matrix") == 0 {
		b.WriteString(rapid.SampledFrom([]string{
			"    matrix: {a: [x, \"1\", 2], b: [\"y z\", \"'\"]}\n", "    matrix: {labels: [big]}\n",
			"    matrix: {c: [x, y], arch: [amd64, arm64], exclude: [{c: x, arch: amd64}], include: [{c: z, arch: arm64}]}\n",
		}).Draw(t, "axes"))
	}
	if rapid.Bool().Draw(t, "settings") {
		fmt.Fprintf(b, "    env: {A: %s}\n    clean: true\n    worker: linux/amd64\n    retry: {lost: 2, times: 1, codes: [2, 75]}\n", drawText(t, "variable"))
	}
}

func drawEnvironment(t *rapid.T, b *strings.Builder) {
	b.WriteString("    target: {process: {command: ./shop}}\n")
	instances := rapid.IntRange(1, 5).Draw(t, "instances")
	fmt.Fprintf(b, "    instances: %d\n", instances)
	if !rapid.Bool().Draw(t, "balancer") {
		return
	}
	b.WriteString("    url: https://shop.example.com:8443/x\n    balancer: proxy\n")
	switch rapid.IntRange(0, 3).Draw(t, "strategy") {
	case 0:
		b.WriteString("    strategy: all-at-once\n")
	case 1:
		fmt.Fprintf(b, "    strategy: {blue-green: {standby: %s, test: %s}}\n", drawDuration(t), drawText(t, "test"))
	case 2:
		fmt.Fprintf(b, "    minimum: %d\n    drain: %s\n", rapid.IntRange(0, instances).Draw(t, "minimum"), drawDuration(t))
	}
}

func drawDuration(t *rapid.T) string {
	return rapid.SampledFrom([]string{"60s", "90m", "1h30m", "23h59m59s", "1h0m1ms", "120000ms"}).Draw(t, "duration")
}

// drawText is any text that is not blank, as a double-quoted scalar of which YAML reads the same.
func drawText(t *rapid.T, name string) string {
	text := rapid.StringMatching(`[a-z"'\\$#:{}\[\] \t\n-]{0,20}x[a-z \n]{0,5}`).Draw(t, name)
	return scalarText("x" + text)
}
