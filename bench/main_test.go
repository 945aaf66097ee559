package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// measured is a benchmark that found these figures.
func measured(err error, figures ...Figure) benchmark {
	return benchmark{"made-up", "for the test", func(context.Context, *stage) ([]Figure, error) { return figures, err }}
}

var (
	met   = Figure{Name: "step", Ours: 5, Unit: "ms", Reference: "shell", Limit: 4, Goal: AtMost(10)}
	short = Figure{Name: "step", Ours: 11, Unit: "ms", Reference: "shell", Limit: 4, Goal: AtMost(10)}
)

func TestOneShortFigureFailsTheWhole(t *testing.T) {
	for name, c := range map[string]struct {
		all  []benchmark
		code int
		told string
	}{
		"all met":         {[]benchmark{measured(nil, met)}, exitMet, met.String() + "\n"},
		"one short":       {[]benchmark{measured(nil, short), measured(nil, met)}, exitShort, short.String() + "\n" + met.String() + "\n"},
		"one unmeasured":  {[]benchmark{measured(errors.New("no git"), met)}, exitShort, met.String() + "\n"},
		"nothing at all":  {nil, exitMet, ""},
		"short and error": {[]benchmark{measured(errors.New("no git"), short)}, exitShort, short.String() + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, progress bytes.Buffer
			code := tell(chapters(c.all), &out, &progress)
			if code != c.code || out.String() != c.told {
				t.Errorf("exit code %d, want %d; standard output:\n%s", code, c.code, out.String())
			}
		})
	}
}

func chapters(all []benchmark) []chapter {
	var found []chapter
	for _, b := range all {
		figures, err := b.measure(context.Background(), nil)
		found = append(found, chapter{b, figures, err, "Measured on 2026-11-23."})
	}
	return found
}

func TestWithoutANameTheNamesAreListed(t *testing.T) {
	var out, progress bytes.Buffer
	if code := bench(t.Context(), nil, &out, &progress); code != exitMet || out.String() != "run\nswitch\nswitch-haproxy\nswitch-nginx\nswitch-caddy\nswitch-dns\nswitch-command\nproxy\nlog\nwebhook\nsurvive\nidle\npoll\ncheckout\nworkers\nneighbours\ncache\nartifact\nssh\nrolling\nrolling-killed\ncrash\n" {
		t.Errorf("exit code %d, standard output:\n%s", code, out.String())
	}
}

func TestAWrongNameIsUsageAndMeasuresNothing(t *testing.T) {
	var out, progress bytes.Buffer
	if code := bench(t.Context(), []string{"--quick", "runs"}, &out, &progress); code != exitUsage || out.Len() > 0 {
		t.Errorf("exit code %d, standard output:\n%s", code, out.String())
	}
	if !strings.Contains(progress.String(), "run, switch, switch-haproxy, switch-nginx, switch-caddy, switch-dns, switch-command, proxy, log, webhook, survive, idle, poll, checkout, workers, neighbours, cache, artifact, ssh, rolling, rolling-killed, crash") {
		t.Errorf("it does not say what there is: %s", progress.String())
	}
}

// pageOf writes the figures of benchmarks of those names to a page.
func pageOf(t *testing.T, path string, parts map[string]benchmark) string {
	t.Helper()
	var found []chapter
	for name, b := range parts {
		b.name = name
		found = append(found, chapters([]benchmark{b})...)
	}
	if err := writePage(path, facts(t.Context()), found); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestThePageHasEveryFigureAndWhatFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	page := pageOf(t, path, map[string]benchmark{"run": measured(nil, met), "crash": measured(errors.New("no git"), short)})
	for _, part := range []string{
		"Measured on 20", "- Machine: ", "- Versions: go", "| step | 5 | ms | shell | 4 | 1.25 | 10 | met |", "| short |", "no git",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
}

func TestAPartThatIsMeasuredAloneLeavesTheOthersAsTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	both := map[string]benchmark{"run": measured(nil, met), "crash": measured(nil, short)}
	before := pageOf(t, path, both)
	if again := pageOf(t, path, map[string]benchmark{"crash": measured(nil, short)}); again != before {
		t.Errorf("it was\n%s\nand is\n%s", before, again)
	}
	if page := pageOf(t, path, map[string]benchmark{"run": measured(nil, short)}); strings.Contains(page, "| met |") {
		t.Errorf("the part that was measured anew says what it said:\n%s", page)
	}
}

func TestADriverNamesTheBenchmarkOfItsSwitch(t *testing.T) {
	for _, driver := range []string{"haproxy", "nginx", "caddy", "dns", "command"} {
		o, err := read([]string{"switch", "--driver", driver, "idle"}, &bytes.Buffer{})
		if err != nil || !slices.Equal(o.names, []string{"switch-" + driver, "idle"}) {
			t.Errorf("%v, %v", o.names, err)
		}
	}
	if _, err := read([]string{"switch", "--driver", "anvil"}, &bytes.Buffer{}); err == nil {
		t.Error("there is no such driver")
	}
}
