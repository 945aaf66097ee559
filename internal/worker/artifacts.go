package worker

import (
	"context"

	"github.com/towpath-cd/towpath/client"
)

func (a *attempt) place(context.Context) error { return nil }

func (a *attempt) keep(context.Context) ([]client.Artifact, error) { return nil, nil }
