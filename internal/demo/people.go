package demo

import (
	"context"
	"fmt"
	"net/url"

	"github.com/towpath-cd/towpath/client"
)

// Who is who in the demo.
const (
	approvers    = "release-managers" // the group that the shop's pipeline file asks
	approverName = "ana"
	deployerName = "ben"
)

// invite makes the accounts as an administrator would, and signs each in by its one-time link.
func (d *demo) invite(ctx context.Context) (err error) {
	if _, err := d.owner.PutGroup(ctx, client.Group{Name: approvers}); err != nil {
		return fmt.Errorf("make the group %s: %w", approvers, err)
	}
	d.approver, err = d.join(ctx, client.Account{
		Name: approverName, Email: "ana@shop.example", Roles: map[string]string{project: "approver"}, Groups: []string{approvers},
	})
	if err != nil {
		return err
	}
	d.deployer, err = d.join(ctx, client.Account{
		Name: deployerName, Email: "ben@shop.example", Roles: map[string]string{project: "deployer"},
	})
	if err == nil {
		d.screen.done("people", fmt.Sprintf("%s of %s approves, %s deploys", approverName, approvers, deployerName))
	}
	return err
}

func (d *demo) join(ctx context.Context, a client.Account) (*client.Client, error) {
	made, err := d.owner.PutAccount(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("make the account of %s: %w", a.Name, err)
	}
	link, err := url.Parse(made.Link)
	if err != nil {
		return nil, fmt.Errorf("read the link of %s: %w", a.Name, err)
	}
	anonymous, err := client.New(d.stage.Server, "")
	if err != nil {
		return nil, err
	}
	defer anonymous.Close()
	token, err := anonymous.SignIn(ctx, link.Query().Get("code"), "demo")
	if err != nil {
		return nil, fmt.Errorf("sign %s in: %w", a.Name, err)
	}
	return client.New(d.stage.Server, token.Token)
}
