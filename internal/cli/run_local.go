package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/app"
)

// runLocal runs the working tree around this folder on a throw-away server, and shows the log of what failed.
func (c *Console) runLocal(ctx context.Context, pipeline string, args []string) error {
	if len(args) > 0 {
		return usage("towpath run --local takes no PROJECT", "it runs the working tree around this folder")
	}
	return app.Local(ctx, app.LocalOptions{Version: ownVersion(), Command: ownCommand(), Log: slog.New(slog.DiscardHandler)},
		func(ctx context.Context, server *client.Client, project string) error {
			run, err := server.StartRun(ctx, project, client.StartRun{Pipeline: pipeline, ScriptsOnly: true})
			if err != nil {
				return err
			}
			last, err := c.watchRun(ctx, server, run)
			if err != nil {
				return err
			}
			failure := runFailure(last)
			if failure == nil || c.JSON {
				return failure
			}
			return c.showFailed(ctx, server, last, failure)
		})
}

// showFailed writes the logs of the steps that failed: the server that has them is about to go.
func (c *Console) showFailed(ctx context.Context, server *client.Client, run client.Run, failure error) error {
	for _, step := range run.Steps {
		if step.State != string(towpath.StepFailed) {
			continue
		}
		fmt.Fprintf(c.Out, "\n%s %s\n", step.Kind, step.Name)
		log, err := server.Log(ctx, client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: step.Name})
		if err != nil {
			return err
		}
		_, err = io.Copy(c.Out, log)
		log.Close()
		if err != nil {
			return fmt.Errorf("show the log of %s: %w", step.Name, err)
		}
	}
	return failure
}
