package client

import (
	"context"
	"net/url"
)

// Board is what is live where: a row a service, a column a name of environments.
type Board struct {
	Columns  []string   `json:"columns"`
	Services []BoardRow `json:"services"`
	All      int        `json:"all"` // services that the caller may see, also those that the filter leaves out
}

// BoardRow is a service: a pipeline with its environments.
type BoardRow struct {
	Pipeline     string        `json:"pipeline"`
	Project      string        `json:"project"`
	Environments []Environment `json:"environments"` // in the order of the columns, without their instances
}

// BoardFilter says which services are wanted. What is left empty does not matter.
type BoardFilter struct {
	Project     string // its name
	Service     string // part of the pipeline's name
	Environment string // name: only that column
	State       string // attention, moving, waiting or held: services of which an environment is in it
}

// Board answers what is live where.
func (c *Client) Board(ctx context.Context, f BoardFilter) (Board, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"project": f.Project, "service": f.Service, "environment": f.Environment, "state": f.State,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return get[Board](ctx, c, "/api/v1/board", query)
}
