package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// prepare gives every command what all have in common: a group refuses verbs that it does not have, arguments that
// a verb does not take are wrong usage, and started tells whether a verb began, so that an error is its own.
func prepare(command *cobra.Command, started *bool) {
	for _, child := range command.Commands() {
		prepare(child, started)
	}
	command.SetFlagErrorFunc(wrongFlag)
	if !command.Runnable() {
		command.Args = cobra.ArbitraryArgs
		command.RunE = missingVerb
		return
	}
	command.Args = wrongArguments(command.Args)
	run := command.RunE
	command.RunE = func(command *cobra.Command, args []string) error {
		*started = true
		return run(command, args)
	}
}

// missingVerb is what a group such as "towpath project" does by itself.
func missingVerb(group *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownVerb(group, args[0])
	}
	if !group.HasParent() {
		return group.Help()
	}
	return usage(group.CommandPath()+" needs a verb", "one of "+strings.Join(verbs(group), ", "))
}

// unknownVerb names the nearest verbs, or all of the group's when none is near.
func unknownVerb(group *cobra.Command, verb string) error {
	group.SuggestionsMinimumDistance = 2
	hint := fmt.Sprintf("%s --help lists the verbs", group.CommandPath())
	if near := group.SuggestionsFor(verb); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(quoted(near), " or "))
	}
	return usage(fmt.Sprintf("unknown verb %q", verb), hint)
}

// wrongArguments checks by the verb's own rule, and by "takes none" where it has no rule.
func wrongArguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		hint := "usage: " + command.UseLine()
		if check == nil && len(args) > 0 {
			return usage(fmt.Sprintf("%s takes no arguments, got %q", command.CommandPath(), args), hint)
		}
		if check == nil {
			return nil
		}
		if err := check(command, args); err != nil {
			return usage(fmt.Sprintf("%s: %s", command.CommandPath(), err), hint)
		}
		return nil
	}
}

// wrongFlag says where the verb's flags are explained.
func wrongFlag(command *cobra.Command, err error) error {
	return usage(err.Error(), command.CommandPath()+" --help lists the flags")
}

// asksForJSON finds --json in arguments whose parsing stopped before it.
func asksForJSON(args []string) bool {
	flags := args
	if end := slices.Index(args, "--"); end >= 0 {
		flags = args[:end]
	}
	return slices.Contains(flags, "--json")
}

// verbs lists what a person may ask a group for.
func verbs(group *cobra.Command) []string {
	var names []string
	for _, child := range group.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return names
}

func quoted(words []string) []string {
	var marked []string
	for _, word := range words {
		marked = append(marked, fmt.Sprintf("%q", word))
	}
	return marked
}
