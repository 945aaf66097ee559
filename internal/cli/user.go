package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newUserCommand is "towpath user".
func newUserCommand(console *Console) *cobra.Command {
	group := &cobra.Command{Use: "user", Short: "Manage who may sign in"}
	group.AddCommand(
		newUserAddCommand(console),
		newUserListCommand(console),
		newUserRolesCommand(console),
		newUserLinkCommand(console),
		newUserRemoveCommand(console),
	)
	return group
}

func newUserAddCommand(console *Console) *cobra.Command {
	var account client.Account
	var roles []string
	command := &cobra.Command{
		Use:     "add NAME",
		Short:   "Make an account, and print the one-time link by which its person signs in",
		Long:    "The link is printed once, and is valid for a day. " + rolesHelp,
		Example: "  towpath user add ana --email ana@example.com --role shop=deployer --group release-managers",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&account.Email, "email", "", "where they are asked and told")
	command.Flags().BoolVar(&account.Administrator, "administrator", false, "they may do everything")
	command.Flags().StringSliceVar(&roles, "role", nil, "PROJECT=ROLE")
	command.Flags().StringSliceVar(&account.Groups, "group", nil, "group that they belong to")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if account.Roles, err = changeRoles(nil, roles); err != nil {
			return err
		}
		account.Name = args[0]
		if known, err := server.Accounts(ctx); err != nil || hasAccount(known, account.Name) {
			return orTaken(err, account.Name)
		}
		made, err := server.PutAccount(ctx, account)
		if err != nil {
			return err
		}
		return console.Show(made, fmt.Sprintf("%s signs in, once: %s", made.Name, made.Link))
	})
	return command
}

func hasAccount(accounts []client.Account, name string) bool {
	return slices.ContainsFunc(accounts, func(a client.Account) bool { return a.Name == name })
}

func orTaken(err error, name string) error {
	if err != nil {
		return err
	}
	return towpath.Errorf(towpath.CodeConflict, "there is already an account %s", name).
		WithHint("towpath user roles %s changes its roles, towpath user link %s makes a new link", name, name)
}

func newUserListCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List accounts with their roles",
		Example: "  towpath user list",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			accounts, err := server.Accounts(ctx)
			if err != nil {
				return err
			}
			t := newTable(console.ink(), "account", "email", "roles", "groups")
			for _, a := range accounts {
				t.add(a.Name, a.Email, accountRoles(a), strings.Join(a.Groups, ", "))
			}
			return console.Show(listed(accounts), t.or("no accounts"))
		}),
	}
}

func accountRoles(a client.Account) string {
	if a.Administrator {
		return joined(", ", "administrator", rolesText(a.Roles))
	}
	return rolesText(a.Roles)
}

func newUserRolesCommand(console *Console) *cobra.Command {
	var administrator bool
	command := &cobra.Command{
		Use:     "roles NAME [PROJECT=ROLE]...",
		Short:   "Change what an account may do",
		Long:    "Roles that are not named stay as they are. " + rolesHelp,
		Example: "  towpath user roles ana shop=maintainer blog=none\n  towpath user roles ana --administrator=false",
		Args:    cobra.MinimumNArgs(1),
	}
	command.Flags().BoolVar(&administrator, "administrator", false, "whether they may do everything")
	act := func(ctx context.Context, server *client.Client, args []string) error {
		account, err := findAccount(ctx, server, args[0])
		if err != nil {
			return err
		}
		if account.Roles, err = changeRoles(account.Roles, args[1:]); err != nil {
			return err
		}
		if command.Flags().Changed("administrator") {
			account.Administrator = administrator
		}
		if account, err = server.PutAccount(ctx, account); err != nil {
			return err
		}
		return console.Show(account, joined(": ", account.Name, fallback(accountRoles(account), "no roles")))
	}
	command.RunE = console.remote(act)
	return command
}

func findAccount(ctx context.Context, server *client.Client, name string) (client.Account, error) {
	accounts, err := server.Accounts(ctx)
	if err != nil {
		return client.Account{}, err
	}
	var names []string
	for _, a := range accounts {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return client.Account{}, towpath.Errorf(towpath.CodeNotFound, "there is no account %q", name).
		WithHint("there are %s", strings.Join(names, ", "))
}

func newUserLinkCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "link NAME",
		Short:   "Print a new one-time link, for a person who cannot sign in any more",
		Long:    "The link is printed once, and is valid for a day. The ones before it are worth nothing any more.",
		Example: "  towpath user link ana",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			account, err := server.NewLink(ctx, args[0])
			if err != nil {
				return err
			}
			return console.Show(account, fmt.Sprintf("%s signs in, once: %s", account.Name, account.Link))
		}),
	}
}

func newUserRemoveCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "End an account, its sessions and its tokens",
		Example: "  towpath user remove ana",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			if err := server.RemoveAccount(ctx, args[0]); err != nil {
				return err
			}
			return console.Show(removed{args[0]}, args[0]+" is removed")
		}),
	}
}
