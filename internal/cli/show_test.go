package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

func TestDurationsAreForPeople(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 350 * time.Millisecond: "350 ms", 41234 * time.Millisecond: "41.2 s",
		59949 * time.Millisecond: "59.9 s", 59950 * time.Millisecond: "1m", 72 * time.Second: "1m 12s",
		59*time.Minute + 59*time.Second + 600*time.Millisecond: "60m", 2*time.Hour + 5*time.Minute: "2h 5m",
		day: "1d", 3*day + 4*time.Hour + time.Minute: "3d 4h",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%s is told as %q, want %q", d, got, want)
		}
	}
}

func TestMomentsAreRelativeAndExactInTheReadersZone(t *testing.T) {
	here := time.FixedZone("here", 3600)
	evening := time.Date(2026, 1, 2, 20, 0, 0, 0, here)
	for ago_, want := range map[time.Duration]string{
		3 * time.Minute: "3m ago, 19:57", 20 * time.Hour: "20h ago, 00:00", 21 * time.Hour: "21h ago, 1 Jan 23:00",
		49 * time.Hour: "2d ago, 31 Dec 2025 19:00",
	} {
		if got := ago(evening.Add(-ago_).UTC(), evening); got != want {
			t.Errorf("%s before is told as %q, want %q", ago_, got, want)
		}
	}
	if got := in(evening.Add(7*24*time.Hour-time.Minute), evening); got != "in 7d, 9 Jan 19:59" {
		t.Errorf("a week to come is told as %q", got)
	}
}

func TestATextFromOutsideCannotSteerATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[32m✓\x1b[0m built": "\x1b[32m✓\x1b[0m built",
		"\x1b]0;title\x07":       "·]0;title·",
		"\x1b[2Jgone\r":          "·[2Jgone·",
		"two\nlines\tof é 日本":    "two\nlines\tof é 日本",
		"left\u202eright\u009b":  "left·right·",
	} {
		if got := safe(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestColumnsLineUpWhateverIsInThem(t *testing.T) {
	table := newTable((&Console{Out: &strings.Builder{}}).ink(), "name", "title")
	table.add("日本", "two\nlines")
	table.add("shop", "\x1b]0;x\x07")
	if diff := cmp.Diff("name  title\n日本  two lines\nshop  ·]0;x·", table.String()); diff != "" {
		t.Error(diff)
	}
}

// terminal of a few lines, which are what its screen shows.
func smallScreen(height int) (*screen, *strings.Builder) {
	var out strings.Builder
	return &screen{out: &out, size: func() (int, int) { return 20, height }}, &out
}

func TestOfARunLongerThanTheTerminalTheStepThatRunsIsShown(t *testing.T) {
	var lines []string
	for n := range 30 {
		lines = append(lines, fmt.Sprintf("line %d", n))
	}
	for look := range 30 {
		s, out := smallScreen(10)
		if err := s.draw(lines, look, false); err != nil {
			t.Fatal(err)
		}
		if shown := out.String(); s.drawn != 9 || !strings.Contains(shown, fmt.Sprintf("line %d\x1b", look)) || !strings.Contains(shown, "line 0\x1b") {
			t.Errorf("looking at %d, the terminal shows %q", look, shown)
		}
	}
	s, out := smallScreen(10)
	if err := s.draw(lines, 3, true); err != nil || !strings.Contains(out.String(), "line 29\x1b") {
		t.Errorf("the last picture is cut: %q (%v)", out.String(), err)
	}
}

func TestALineIsNeverWiderThanTheTerminal(t *testing.T) {
	s, out := smallScreen(10)
	if err := s.draw([]string{strings.Repeat("wide ", 10)}, 0, false); err != nil {
		t.Fatal(err)
	}
	if want := "\rwide wide wide wid…\x1b[K\n\x1b[J"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTheSchemaIsOneForEditors(t *testing.T) {
	for _, args := range [][]string{{"schema"}, {"schema", "--json"}} {
		var schema jsonschema.Schema
		got := call(t, args...)
		if err := json.Unmarshal([]byte(got.out), &schema); err != nil || schema.Properties["steps"] == nil {
			t.Errorf("%v: %v, %.100s", args, err, got.out)
		}
		if _, err := schema.Resolve(nil); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}
