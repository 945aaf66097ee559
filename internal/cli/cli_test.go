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

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// answer is what a person or a program gets back from one call.
type answer struct {
	code     int
	out, err string
}

func call(t *testing.T, args ...string) answer {
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
			got := call(t, c.args...)
			if want := (answer{ExitUsage, "", c.err}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestErrorsAreObjectsUnderJSON(t *testing.T) {
	got := call(t, "version", "--loud", "--json") // the parser stops before it sees --json
	want := `{"code":"usage","message":"unknown flag: --loud","hint":"towpath version --help lists the flags"}` + "\n"
	if got != (answer{ExitUsage, "", want}) {
		t.Errorf("got %+v, want %s", got, want)
	}
}

func TestJSONAfterTwoDashesIsNotAFlag(t *testing.T) {
	if asksForJSON([]string{"run", "--", "--json"}) {
		t.Error("an argument after -- was read as a flag")
	}
}

func TestErrorsKeepTheirCodeAndHintHoweverTheyAreWrapped(t *testing.T) {
	noServer := &client.Error{Code: "unavailable", Message: "no answer", Hint: "start it", Err: context.Canceled}
	tooOld := towpath.Errorf(towpath.CodeConflict, "release 41 is older").WithHint("say --older")
	for _, c := range []struct {
		err  error
		want failure
		code int
	}{
		{errors.New("disk full"), failure{codeFailed, "disk full", ""}, ExitFailed},
		{noServer, failure{"unavailable", "no answer", "start it"}, ExitFailed},
		{fmt.Errorf("plan: %w", noServer), failure{"unavailable", "plan: no answer", "start it"}, ExitFailed},
		{fmt.Errorf("deploy: %w", tooOld), failure{"conflict", "deploy: release 41 is older", "say --older"}, ExitFailed},
		{fmt.Errorf("run: %w", usage("which?", "name one")), failure{codeUsage, "run: which?", "name one"}, ExitUsage},
	} {
		if got, code := describe(t.Context(), c.err), exitCode(c.err); got != c.want || code != c.code {
			t.Errorf("%v: got %+v with exit code %d, want %+v with %d", c.err, got, code, c.want, c.code)
		}
	}
}

func TestWhatAnInterruptBrokeIsToldAsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	broken := &client.Error{Code: "unavailable", Message: "no answer", Err: context.Canceled}
	if got := describe(ctx, fmt.Errorf("follow: %w", broken)); got != (failure{codeInterrupted, "interrupted", ""}) {
		t.Errorf("got %+v", got)
	}
}

func TestVersionIsTheSameForPeopleAndPrograms(t *testing.T) {
	text, doc := call(t, "version"), call(t, "version", "--json")
	var v version
	if err := json.Unmarshal([]byte(doc.out), &v); err != nil {
		t.Fatalf("version --json is not one JSON document: %v\n%s", err, doc.out)
	}
	if text.out != v.String()+"\n" || text.code != ExitDone || doc.code != ExitDone {
		t.Errorf("text %+v and document %+v differ", text, doc)
	}
}

func TestTowpathAloneShowsTheVerbs(t *testing.T) {
	got := call(t)
	if got.code != ExitDone || got.err != "" || !strings.Contains(got.out, "version") {
		t.Errorf("got %+v, want the list of verbs", got)
	}
}

func TestAGroupAloneNamesItsVerbs(t *testing.T) {
	group := &cobra.Command{Use: "fleet"}
	group.AddCommand(&cobra.Command{Use: "add", RunE: func(*cobra.Command, []string) error { return nil }})
	(&cobra.Command{Use: "towpath"}).AddCommand(group)

	got := describe(t.Context(), missingVerb(group, nil))
	want := failure{codeUsage, "towpath fleet needs a verb", "one of add"}
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
