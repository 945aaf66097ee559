package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newGroupCommand is "towpath group".
func newGroupCommand(console *Console) *cobra.Command {
	group := &cobra.Command{Use: "group", Short: "Manage people that are asked and allowed together"}
	group.AddCommand(
		newGroupAddCommand(console),
		newGroupListCommand(console),
		newGroupRolesCommand(console),
		newGroupRemoveCommand(console),
	)
	return group
}

func newGroupAddCommand(console *Console) *cobra.Command {
	var roles []string
	command := &cobra.Command{
		Use:     "add NAME [MEMBER]...",
		Short:   "Make a group, or add members to it",
		Long:    rolesHelp,
		Example: "  towpath group add release-managers ana ben --role shop=approver",
		Args:    cobra.MinimumNArgs(1),
	}
	command.Flags().StringSliceVar(&roles, "role", nil, "PROJECT=ROLE")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		group, err := findGroup(ctx, server, args[0])
		if towpath.CodeOf(err) == towpath.CodeNotFound {
			group, err = client.Group{Name: args[0]}, nil
		}
		if err != nil {
			return err
		}
		group.Members = append(group.Members, args[1:]...)
		slices.Sort(group.Members)
		group.Members = slices.Compact(group.Members)
		return console.putGroup(ctx, server, group, roles)
	})
	return command
}

// putGroup keeps a group with its roles changed, and shows it.
func (c *Console) putGroup(ctx context.Context, server *client.Client, group client.Group, roles []string) (err error) {
	if group.Roles, err = changeRoles(group.Roles, roles); err != nil {
		return err
	}
	if group, err = server.PutGroup(ctx, group); err != nil {
		return err
	}
	return c.Show(group, joined("   ", group.Name+": "+fallback(strings.Join(group.Members, ", "), "nobody"), rolesText(group.Roles)))
}

func findGroup(ctx context.Context, server *client.Client, name string) (client.Group, error) {
	groups, err := server.Groups(ctx)
	if err != nil {
		return client.Group{}, err
	}
	var names []string
	for _, g := range groups {
		if g.Name == name {
			return g, nil
		}
		names = append(names, g.Name)
	}
	missing := towpath.Errorf(towpath.CodeNotFound, "there is no group %q", name)
	if len(names) > 0 {
		missing = missing.WithHint("there are %s", strings.Join(names, ", "))
	}
	return client.Group{}, missing
}

func newGroupListCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List groups with their members and roles",
		Example: "  towpath group list",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			groups, err := server.Groups(ctx)
			if err != nil {
				return err
			}
			t := newTable(console.ink(), "group", "members", "roles")
			for _, g := range groups {
				t.add(g.Name, strings.Join(g.Members, ", "), rolesText(g.Roles))
			}
			return console.Show(listed(groups), t.or("no groups"))
		}),
	}
}

func newGroupRolesCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "roles NAME [PROJECT=ROLE]...",
		Short:   "Change what the members of a group may do",
		Long:    "Roles that are not named stay as they are. " + rolesHelp,
		Example: "  towpath group roles release-managers shop=approver blog=none",
		Args:    cobra.MinimumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			group, err := findGroup(ctx, server, args[0])
			if err != nil {
				return err
			}
			return console.putGroup(ctx, server, group, args[1:])
		}),
	}
}

func newGroupRemoveCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME [MEMBER]...",
		Short:   "End a group, or take members out of it",
		Long:    "With members it takes them out and the group stays; without, it ends the group.",
		Example: "  towpath group remove release-managers ben\n  towpath group remove release-managers",
		Args:    cobra.MinimumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			if len(args) > 1 {
				return console.takeOut(ctx, server, args[0], args[1:])
			}
			if err := server.RemoveGroup(ctx, args[0]); err != nil {
				return err
			}
			return console.Show(removed{args[0]}, args[0]+" is removed")
		}),
	}
}

func (c *Console) takeOut(ctx context.Context, server *client.Client, name string, members []string) error {
	group, err := findGroup(ctx, server, name)
	if err != nil {
		return err
	}
	for _, m := range members {
		if !slices.Contains(group.Members, m) {
			return towpath.Errorf(towpath.CodeNotFound, "%s is not in %s", m, name)
		}
	}
	group.Members = slices.DeleteFunc(group.Members, func(m string) bool { return slices.Contains(members, m) })
	return c.putGroup(ctx, server, group, nil)
}
