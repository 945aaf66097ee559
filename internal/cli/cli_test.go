package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// answer is what a person or a program gets back from one call.
type answer struct {
	code     int
	out, err string
}

func towpath(t *testing.T, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	code := Execute(t.Context(), args, &Console{In: strings.NewReader(""), Out: &out, Err: &err})
	return answer{code: code, out: out.String(), err: err.String()}
}

func TestWrongUsageIsExitCodeTwoAndSaysWhatWouldBeRight(t *testing.T) {
	for _, c := range []struct {
		args []string
		err  string
	}{
		{[]string{"verson"}, "unknown verb \"verson\"\nhint: did you mean \"version\"?\n"},
		{[]string{"zzzzzz"}, "unknown verb \"zzzzzz\"\nhint: towpath --help lists the verbs\n"},
		{[]string{"version", "now"}, "towpath version takes no arguments, got [\"now\"]\nhint: usage: towpath version [flags]\n"},
		{[]string{"version", "--loud"}, "unknown flag: --loud\nhint: towpath version --help lists the flags\n"},
		{[]string{"help", "verson"}, "unknown verb \"verson\"\nhint: did you mean \"version\"?\n"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			got := towpath(t, c.args...)
			if want := (answer{ExitUsage, "", c.err}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestErrorsAreObjectsUnderJSON(t *testing.T) {
	got := towpath(t, "version", "--loud", "--json") // the parser stops before it sees --json
	var told Error
	if err := json.Unmarshal([]byte(got.err), &told); err != nil {
		t.Fatalf("standard error is not one JSON object: %v\n%s", err, got.err)
	}
	want := Error{Code: CodeUsage, Message: "unknown flag: --loud", Hint: "towpath version --help lists the flags"}
	if told != want || got.out != "" {
		t.Errorf("got %+v and output %q, want %+v and none", told, got.out, want)
	}
}

func TestJSONAfterTwoDashesIsNotAFlag(t *testing.T) {
	if asksForJSON([]string{"run", "--", "--json"}) {
		t.Error("an argument after -- was read as a flag")
	}
}

func TestAVerbsOwnErrorIsExitCodeOne(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want Error
		code int
	}{
		{"plain", t.Context(), errors.New("disk full"), Error{Code: CodeFailed, Message: "disk full"}, ExitFailed},
		{
			"with a hint, wrapped", t.Context(),
			fmt.Errorf("deploy: %w", Error{Code: "refused", Message: "too old", Hint: "say --force"}),
			Error{Code: "refused", Message: "deploy: too old", Hint: "say --force"}, ExitFailed,
		},
		{
			"interrupted", cancelled, fmt.Errorf("follow: %w", context.Canceled),
			Error{Code: CodeInterrupted, Message: "interrupted"}, ExitFailed,
		},
		{"wrong usage", t.Context(), usage("which one?", "name one"), Error{CodeUsage, "which one?", "name one"}, ExitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, code := describe(c.ctx, c.err), exitCode(c.err); got != c.want || code != c.code {
				t.Errorf("got %+v with exit code %d, want %+v with %d", got, code, c.want, c.code)
			}
		})
	}
}

func TestVersionIsTheSameForPeopleAndPrograms(t *testing.T) {
	text, doc := towpath(t, "version"), towpath(t, "version", "--json")
	var v version
	if err := json.Unmarshal([]byte(doc.out), &v); err != nil {
		t.Fatalf("version --json is not one JSON document: %v\n%s", err, doc.out)
	}
	if text.out != v.String()+"\n" || text.code != ExitDone || doc.code != ExitDone {
		t.Errorf("text %+v and document %+v differ", text, doc)
	}
}

func TestTowpathAloneShowsTheVerbs(t *testing.T) {
	got := towpath(t)
	if got.code != ExitDone || got.err != "" || !strings.Contains(got.out, "version") {
		t.Errorf("got %+v, want the list of verbs", got)
	}
}

func TestAGroupAloneNamesItsVerbs(t *testing.T) {
	group := &cobra.Command{Use: "fleet"}
	group.AddCommand(&cobra.Command{Use: "add", RunE: func(*cobra.Command, []string) error { return nil }})
	(&cobra.Command{Use: "towpath"}).AddCommand(group)

	got := describe(t.Context(), missingVerb(group, nil))
	want := Error{Code: CodeUsage, Message: "towpath fleet needs a verb", Hint: "one of add"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryVerbIsExplainedWithAnExample(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(command *cobra.Command) {
		for _, child := range command.Commands() {
			visit(child)
		}
		if command.HasSubCommands() {
			return
		}
		if command.RunE == nil {
			t.Errorf("%s has no RunE, so its errors have no exit code", command.CommandPath())
		}
		if command.Short == "" || !command.Hidden && command.Example == "" {
			t.Errorf("%s needs a sentence (Short) and, unless it is hidden, an Example", command.CommandPath())
		}
	}
	visit(newRootCommand(&Console{}))
}
