package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newPolicyCommand is "towpath policy".
func newPolicyCommand(console *Console) *cobra.Command {
	var wish client.PolicyChange
	var isProtected bool
	command := &cobra.Command{
		Use:   "policy ENV",
		Short: "Show or set what the server allows of an environment, whatever its pipeline file says",
		Long: "Without flags it shows the policy. Each flag replaces one list and leaves the others as they are; '' is an empty list, which\n" +
			"allows nothing, and --lift has a list say nothing again. A run whose file asks for more is refused before anything is\n" +
			"touched, and so is a deployment or a rollback. It needs the permission to write the project's secrets.\n\n" +
			"Addresses are those of hosts and balancers: names, compared as the file has them, IP addresses, and CIDRs. The\n" +
			"environment need not be there yet: write it with its pipeline then. " + environmentHelp,
		Example: "  towpath policy production\n" +
			"  towpath policy production --ref main --ref 'tags/v*' --address web1.example.com,10.0.0.0/8\n" +
			"  towpath policy shop/production --worker barge-1,barge-2 --secret DATABASE_URL\n" +
			"  towpath policy staging --protect --lift address",
		Args: cobra.ExactArgs(1),
	}
	flags := command.Flags()
	flags.StringSliceVar(&wish.Refs, "ref", nil, "branches whose runs may deploy there, tags as tags/NAME; * and ** stand for any name")
	flags.StringSliceVar(&wish.Workers, "worker", nil, "names of the workers that may keep it")
	flags.StringSliceVar(&wish.Secrets, "secret", nil, "names of the secrets that its definition may have")
	flags.StringSliceVar(&wish.Addresses, "address", nil, "hosts and balancers that it may have: names, IP addresses, CIDRs")
	flags.BoolVar(&isProtected, "protect", false, "without --ref only protected branches deploy there; production is so from the start")
	flags.StringSliceVar(&wish.Lift, "lift", nil, "lists that say nothing any more: ref, worker, secret, address")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		key, err := policyKey(ctx, server, args[0])
		if err != nil {
			return err
		}
		if flags.Changed("protect") {
			wish.Protected = &isProtected
		}
		if !changesPolicy(wish) {
			p, err := server.Policy(ctx, key)
			if err != nil {
				return err
			}
			return console.Show(p, console.policyText(p))
		}
		p, err := server.ChangePolicy(ctx, key, wish)
		if err != nil {
			return err
		}
		return console.Show(p, console.policyText(p))
	})
	return command
}

func changesPolicy(c client.PolicyChange) bool {
	return c.Protected != nil || c.Refs != nil || c.Workers != nil || c.Secrets != nil || c.Addresses != nil || c.Lift != nil
}

// policyKey finds the environment that a person means. One that is written with its pipeline need not be there yet.
func policyKey(ctx context.Context, server *client.Client, name string) (string, error) {
	if strings.Count(name, "/") == 1 {
		return name, nil
	}
	e, err := findEnvironment(ctx, server, name)
	return e.Key, err
}

func (c *Console) policyText(p client.Policy) string {
	from := "any branch"
	if p.Protected {
		from = "protected branches"
	}
	t := newTable(c.ink(), p.Environment, "allows")
	t.add("deployed from", allowedText(p.Refs, from))
	t.add("kept by", allowedText(p.Workers, "any worker"))
	t.add("secrets", allowedText(p.Secrets, "any that is granted to it"))
	t.add("addresses", allowedText(p.Addresses, "any"))
	said, absent := "", ""
	if p.Absent {
		absent = "there is no environment " + p.Environment + " yet; its first deployment is bound by this"
	}
	if p.By != "" {
		said = "set by " + p.By + " " + ago(p.At, c.now())
	}
	return joined("\n", t.String(), said, absent, p.Conflict)
}

// allowedText is a list of a policy, or what holds where it says nothing.
func allowedText(list []string, otherwise string) string {
	switch {
	case list == nil:
		return otherwise
	case len(list) == 0:
		return "none"
	}
	return strings.Join(list, ", ")
}
