package client

import (
	"context"
	"time"
)

// Policy is what the server allows of an environment, whatever its pipeline file says. A list that is missing says nothing; an empty
// one allows nothing.
type Policy struct {
	Environment string    `json:"environment"`        // "pipeline/name"
	Protected   bool      `json:"protected"`          // without refs, only protected branches deploy there
	Refs        []string  `json:"refs,omitzero"`      // globs of branches, and of tags as tags/NAME
	Workers     []string  `json:"workers,omitzero"`   // names of those that may keep it
	Secrets     []string  `json:"secrets,omitzero"`   // names
	Addresses   []string  `json:"addresses,omitzero"` // of hosts and balancers: names as the file has them, IP addresses, CIDRs
	By          string    `json:"by,omitempty"`       // who said so last; missing: nobody has
	At          time.Time `json:"at,omitzero"`        //
	Absent      bool      `json:"absent,omitempty"`   // there is no such environment yet
	Conflict    string    `json:"conflict,omitempty"` // what it does not allow of the definition in force, or of what runs
}

// PolicyChange is what somebody wants of a policy. What it does not name stays as it is.
type PolicyChange struct {
	Protected *bool    `json:"protected,omitempty"`
	Refs      []string `json:"refs,omitzero"` // in place of what was allowed; missing is as before, empty allows nothing
	Workers   []string `json:"workers,omitzero"`
	Secrets   []string `json:"secrets,omitzero"`
	Addresses []string `json:"addresses,omitzero"`
	Lift      []string `json:"lift,omitempty"` // lists that say nothing any more: ref, worker, secret, address
}

// Policy answers what is allowed of an environment, which need not be there yet.
func (c *Client) Policy(ctx context.Context, key string) (Policy, error) {
	return get[Policy](ctx, c, environmentPath(key, "/policy"), nil)
}

// ChangePolicy changes that.
func (c *Client) ChangePolicy(ctx context.Context, key string, change PolicyChange) (Policy, error) {
	return post[Policy](ctx, c, environmentPath(key, "/policy"), change)
}
