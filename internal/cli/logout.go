package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newLogoutCommand is "towpath logout".
func newLogoutCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "logout",
		Short:   "Make this machine's login worthless, and forget it",
		Long:    "Ends the login of the server that verbs speak to, or of --server.",
		Example: "  towpath logout",
		RunE:    func(command *cobra.Command, _ []string) error { return console.logout(command.Context()) },
	}
}

// signedOut is the document of a logout.
type signedOut struct {
	Server string `json:"server"`
}

// logout forgets the login also where the server cannot be told, and says so.
func (c *Console) logout(ctx context.Context) error {
	known, err := loadCredentials()
	if err != nil {
		return err
	}
	address := c.address(known)
	login, ok := known.Servers[address]
	if !ok {
		return towpath.Errorf(towpath.CodeNotFound, "nobody is signed in to %s", address)
	}
	delete(known.Servers, address)
	if known.Current == address {
		known.Current = ""
	}
	if err := known.save(); err != nil {
		return err
	}
	if err := signOut(ctx, address, login.Token); err != nil {
		return fmt.Errorf("the login is forgotten here, but may still be valid: %w", err)
	}
	return c.Show(signedOut{address}, "signed out of "+address)
}

func signOut(ctx context.Context, address, token string) error {
	server, err := client.New(address, token)
	if err != nil {
		return err
	}
	defer server.Close()
	return server.SignOut(ctx)
}
