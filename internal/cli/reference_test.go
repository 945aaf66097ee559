package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// referenceFile is written by this test, so that it says what the verbs say.
const referenceFile = "../../docs/cli.md"

const referenceHead = "# The command line\n\n" +
	"Every verb of `towpath`, with its flags. `towpath help VERB` prints the same.\n\n" +
	"- **Which server.** `--server` and `--token`, or else `TOWPATH_SERVER` and `TOWPATH_TOKEN`, or else what `towpath login`\n" +
	"  keeps in your config folder; by default `http://127.0.0.1:8470`. A login's token is shown to its own server only. On the\n" +
	"  machine of a server whose data folder you can read (`TOWPATH_DATA` where it is not the default one), no token is needed.\n" +
	"- **For programs.** `--json` writes one document, or one a line where something is followed; their fields are those of the\n" +
	"  Go package `client`. An error is `{\"code\", \"message\", \"hint\"}` on standard error.\n" +
	"- **Exit codes.** 0: done. 1: understood, and failed; also a run that was followed and did not pass, or a deployment that is\n" +
	"  not live. 2: not understood.\n" +
	"- **On a terminal** what moves is redrawn in place; elsewhere it is one line a change, without colour. `NO_COLOR` is\n" +
	"  respected. A connection that breaks while something is followed is made again.\n" +
	"- **Names.** A run is `shop#128`, `128` where there is one pipeline, `shop` for that pipeline's latest, or nothing for the\n" +
	"  latest of all. An environment is `shop/production`, or `production` where only one has that name.\n"

func TestTheReferenceSaysWhatTheVerbsSay(t *testing.T) {
	got := reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatalf("%v (go test ./internal/cli -update writes it)", err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s is not what the verbs say; go test ./internal/cli -update writes it anew (-want +got):\n%s", referenceFile, diff)
	}
}

func reference() string {
	root := newRootCommand(&Console{})
	var b strings.Builder
	b.WriteString(referenceHead)
	sections := append(root.Groups(), &cobra.Group{ID: "", Title: "Else:"})
	for _, group := range sections {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, verb := range root.Commands() {
			if verb.GroupID == group.ID && verb.IsAvailableCommand() {
				referVerb(&b, verb)
			}
		}
	}
	return b.String()
}

func referVerb(b *strings.Builder, verb *cobra.Command) {
	if verb.RunE != nil && !verb.Hidden {
		fmt.Fprintf(b, "\n### %s\n\n%s.\n", verb.CommandPath(), verb.Short)
		if verb.Long != "" {
			fmt.Fprintf(b, "%s\n", strings.TrimSpace(verb.Long))
		}
		fmt.Fprintf(b, "\n```\n%s\n%s```\n", verb.UseLine(), flagUsages(verb))
		fmt.Fprintf(b, "\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(verb.Example, "  "), "\n  ", "\n"))
	}
	for _, child := range verb.Commands() {
		referVerb(b, child)
	}
}

// flagUsages leaves out defaults that are this machine's own.
func flagUsages(verb *cobra.Command) string {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	verb.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		shown := *f
		if home, err := os.UserHomeDir(); err == nil {
			shown.DefValue = filepath.ToSlash(strings.ReplaceAll(shown.DefValue, home, "~"))
		}
		if host, err := os.Hostname(); err == nil && shown.DefValue == host {
			shown.DefValue = "this machine's"
		}
		flags.AddFlag(&shown)
	})
	return flags.FlagUsages()
}
