package cli

import "github.com/spf13/cobra"

// newHelpCommand is "towpath help [verb…]", which unlike cobra's own fails for a verb that does not exist.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [verb...]",
		Short:   "Explain a verb",
		Example: "  towpath help version",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			verb, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownVerb(verb, rest[0])
			}
			return verb.Help()
		},
	}
}
