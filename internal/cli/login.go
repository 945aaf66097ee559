package cli

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newLoginCommand is "towpath login".
func newLoginCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "login [ADDRESS|LINK]",
		Short: "Sign in to a server, for this user on this machine",
		Long: "Signs in by a one-time link, as an administrator or the server's first start gives it out, or by its code, or by a\n" +
			"token (--token). What is not in the arguments is asked for, or read from standard input. Verbs speak to that server\n" +
			"from then on. The credential is kept in a file that only you can read.",
		Example: "  towpath login \"http://towpath.example.com/login?code=twl_…\"\n  towpath login https://towpath.example.com --token twp_…",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return console.login(command.Context(), first(args))
		},
	}
}

// signedIn is the document of a login.
type signedIn struct {
	Server  string `json:"server"`
	Account string `json:"account"`
}

func (c *Console) login(ctx context.Context, where string) error {
	known, err := loadCredentials()
	if err != nil {
		return err
	}
	address, code := splitLink(where)
	if address == "" {
		address = c.address(known)
	}
	token, err := c.credential(ctx, address, code)
	if err != nil {
		return err
	}
	who, err := whoIs(ctx, address, token)
	if err != nil {
		return err
	}
	known.Current, known.Servers[address] = address, login{Account: who, Token: token}
	if err := known.save(); err != nil {
		return err
	}
	return c.Show(signedIn{Server: address, Account: who}, fmt.Sprintf("signed in to %s as %s", address, who))
}

// credential answers a token: one that was given, or what the server gives for a code.
func (c *Console) credential(ctx context.Context, address, code string) (string, error) {
	if code == "" && c.token != "" {
		return c.token, nil
	}
	if code == "" {
		given, err := c.readSecret("one-time link, its code, or a token")
		if err != nil {
			return "", fmt.Errorf("read the code: %w", err)
		}
		given = strings.TrimSpace(given)
		if given == "" {
			return "", usage("nothing to sign in with", "give a one-time link, its code or --token")
		}
		if _, code = splitLink(given); code == "" {
			code = given
		}
	}
	if !strings.HasPrefix(code, "twl_") { // a one-time code begins with its kind, as all credentials do
		return code, nil
	}
	server, err := client.New(address, "")
	if err != nil {
		return "", err
	}
	defer server.Close()
	token, err := server.SignIn(ctx, code, tokenName())
	return token.Token, err
}

func whoIs(ctx context.Context, address, token string) (string, error) {
	server, err := client.New(address, token)
	if err != nil {
		return "", err
	}
	defer server.Close()
	me, err := server.Me(ctx)
	return me.Account, err
}

// splitLink takes a one-time link apart; an address has no code.
func splitLink(where string) (address, code string) {
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Query().Get("code") == "" {
		if where == "" {
			return "", ""
		}
		return normal(where), ""
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/login")}
	return normal(base.String()), u.Query().Get("code")
}

// unnameable is what a token's name does not hold.
var unnameable = regexp.MustCompile(`[^a-z0-9._-]+`)

// tokenName names a login's token after this machine, so that its owner knows which to take back.
func tokenName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := "login-" + unnameable.ReplaceAllString(strings.ToLower(host), "-")
	return name[:min(63, len(name))]
}
