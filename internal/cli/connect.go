package cli

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/config"
)

// remote makes a verb of what it does with the server.
func (c *Console) remote(act func(context.Context, *client.Client, []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		server, err := c.connect()
		if err != nil {
			return err
		}
		defer server.Close()
		return act(command.Context(), server, args)
	}
}

// connect makes a client of the server that flags, environment or login name, in this order. No call is made yet.
func (c *Console) connect() (*client.Client, error) {
	known, err := loadCredentials()
	if err != nil {
		return nil, err
	}
	address := c.address(known)
	return client.New(address, c.tokenFor(address, known))
}

func (c *Console) address(known credentials) string {
	for _, address := range []string{c.server, os.Getenv("TOWPATH_SERVER"), known.Current} {
		if address != "" {
			return normal(address)
		}
	}
	return "http://" + config.DefaultListen
}

// tokenFor answers what to show a server: what was said, what was got from that server when signing in, or, for a server
// on this machine whose files are ours, its owner's token. None of the last two is ever shown to another server.
func (c *Console) tokenFor(address string, known credentials) string {
	for _, token := range []string{c.token, os.Getenv("TOWPATH_TOKEN"), known.Servers[address].Token} {
		if token != "" {
			return token
		}
	}
	if isHere(address) {
		return ownerToken()
	}
	return ""
}

// ownerToken answers the token of the server on this machine; empty where there is none, or it is not ours to read.
func ownerToken() string {
	data := os.Getenv("TOWPATH_DATA")
	if data == "" {
		data = config.DefaultData("server")
	}
	token, err := os.ReadFile(filepath.Join(data, "owner.token"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
}

// isHere says that an address can only be this machine's.
func isHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// normal is the one way in which an address is written.
func normal(address string) string {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return strings.TrimRight(address, "/")
}
