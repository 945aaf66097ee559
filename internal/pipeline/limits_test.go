package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bounded is far more than a hostile file needs on a busy machine, and far less than one that gets out of hand.
const bounded = 15 * time.Second

// fill repeats a text up to the size limit of a file.
func fill(prefix, text string) string {
	return prefix + strings.Repeat(text, (MaxSize-len(prefix))/len(text))
}

func numberedKeys(format string) string {
	var b strings.Builder
	for i := 0; b.Len() < MaxSize-40; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestHostileFilesEndInBoundedTime(t *testing.T) {
	const head = "pipeline: a\nsteps:\n"
	files := map[string]string{
		"flow lists":        fill("", "["),
		"flow mappings":     fill("", "{a: "),
		"dashes":            fill("", "- "),
		"question marks":    fill("", "? "),
		"indented lists":    fill("", " -\n"),
		"anchors":           fill("a: ", "&a "),
		"aliases":           fill("a: &a x\nb: [", "*a, ") + "]",
		"tags":              fill("a: ", "!a "),
		"steps":             fill(head, "- build: x\n"),
		"same keys":         fill("a: {", "b: 1, ") + "}",
		"steps in flow":     fill("pipeline: a\nsteps: [", "{run: a, script: b}, ") + "]",
		"keys":              numberedKeys("k%d: v\n"),
		"keys in flow":      "a: {" + numberedKeys("k%d: v, ") + "}",
		"variables":         "pipeline: a\nsteps:\n- build: a\n  run: x\n  env:\n" + numberedKeys("    K%d: v\n"),
		"needs":             "pipeline: a\nsteps:\n- build: a\n  run: x\n  needs: [" + numberedKeys("k%d, ") + "]",
		"environments":      "pipeline: a\nsteps: []\nenvironments:\n" + numberedKeys("  e%d: {target: {process: {command: x}}}\n"),
		"documents":         fill("", "---\n"),
		"comments":          fill("", "# a\n"),
		"one comment":       fill("# ", "a"),
		"blank lines":       fill("", "\n"),
		"spaces":            fill("", " "),
		"tabs":              fill("", "\t"),
		"colons":            fill("", ":"),
		"quotes":            fill("a: ", "\""),
		"commas":            fill("a: [", ","),
		"escapes":           fill("a: \"", "\\n"),
		"block":             fill("a: |\n", "  x\n"),
		"folded":            fill("a: >\n", "  x\n"),
		"plain lines":       fill("a:\n", "  x\n"),
		"a long key":        fill("", "k") + ": v",
		"a long expression": fill(head+"- run: a\n  script: a\n  when: ", "("),
		"merges":            fill("a: &a {b: c}\n", "<<: *a\n"),
		"a staircase":       staircase(),
		"percent":           fill("", "%a\n"),
		"carriage returns":  fill("", "\r"),
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			problems := Check("towpath.yaml", []byte(text[:min(len(text), MaxSize)]))
			if problems.Errors() == 0 {
				t.Error("the file was accepted")
			}
			if took := time.Since(start); took > bounded {
				t.Errorf("took %s", took)
			} else {
				t.Logf("%s: %s", took, problems[0].Message)
			}
		})
	}
}

// staircase is indented one level more on every line.
func staircase() string {
	var b strings.Builder
	for i := 0; b.Len() < MaxSize-2000; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestAliasesThatExpandPastTheLimitAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [" + strings.Repeat("x, ", 100) + "]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	problems := Check("towpath.yaml", []byte(b.String()))
	if len(problems) != 1 || problems[0].Message != "aliases expand the file past 512 KiB here" {
		t.Fatalf("got:\n%s", problems)
	}
	if problems[0].Line != 5 {
		t.Errorf("want line 5, where it passes the limit, got %d", problems[0].Line)
	}
}

func TestAnAliasInsideItsOwnAnchorIsRefused(t *testing.T) {
	problems := Check("towpath.yaml", []byte("pipeline: a\nsteps: &s\n  - *s\n"))
	if len(problems) != 1 || problems[0].Message != "no anchor &s stands above this" {
		t.Errorf("got:\n%s", problems)
	}
}

func TestLimitsOnNumbers(t *testing.T) {
	steps := func(n int) string {
		var b strings.Builder
		b.WriteString("pipeline: a\nsteps:\n")
		for i := range n {
			fmt.Fprintf(&b, "- {run: s%d, script: x}\n", i)
		}
		return b.String()
	}
	start := time.Now()
	if problems := Check("towpath.yaml", []byte(steps(maxSteps))); len(problems) > 0 {
		t.Errorf("%d steps were refused:\n%s", maxSteps, problems)
	}
	if took := time.Since(start); took > bounded {
		t.Errorf("%d steps took %s", maxSteps, took)
	}
	problems := Check("towpath.yaml", []byte(steps(maxSteps+1)))
	if len(problems) != 1 || problems[0].Message != "1001 steps; a pipeline has at most 1000" || problems[0].Line != maxSteps+3 {
		t.Errorf("got:\n%s", problems)
	}
	large := Check("towpath.yaml", []byte(fill("pipeline: a\n", "#")+"##"))
	if len(large) != 1 || !strings.HasPrefix(large[0].Message, "the file has 513 KiB") {
		t.Errorf("got:\n%s", large)
	}
}
