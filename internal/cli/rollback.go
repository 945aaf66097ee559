package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/app"
)

// newRollbackCommand is "towpath rollback".
func newRollbackCommand(console *Console) *cobra.Command {
	var reason, data string
	var detach, direct, yes bool
	var to int
	command := &cobra.Command{
		Use:   "rollback ENV [--to RELEASE]",
		Short: "Go back to the release before, and wait until it serves",
		Long: "Goes back to the live release while another one is being deployed, else to the one that was live before it, or with\n" +
			"--to to any that towpath environments ENV names. What it does and how long that takes is shown first; it starts at\n" +
			"once, also in a frozen environment and outside of windows, and asks neither the forge nor the artifact store. The\n" +
			"environment is pinned from then on: no run deploys an older change there until a newer one comes, or towpath unpin.\n" +
			"With --direct no server is needed: on the machine of the environment's keeper, its worker goes back, or this verb\n" +
			"where no worker runs. The server hears of it when it answers again. " + environmentHelp,
		Example: "  towpath rollback production --reason \"checkout answers 500\"\n" +
			"  towpath rollback production --direct --reason \"the server is down\"",
		Args: cobra.ExactArgs(1),
	}
	f := command.Flags()
	f.StringVar(&reason, "reason", "", "why, for the record")
	f.IntVar(&to, "to", 0, "the release to go back to (default: the one before)")
	f.BoolVar(&detach, "detach", false, "do not wait for the rollback to end")
	f.BoolVar(&direct, "direct", false, "go back on this machine, without the server")
	f.StringVar(&data, "data", "", "with --direct: the worker's data folder (default: that of the worker or the server on this machine)")
	f.BoolVarP(&yes, "yes", "y", false, "with --direct: do not ask")
	command.RunE = func(command *cobra.Command, args []string) error {
		switch {
		case direct && to > 0:
			return usage("--direct goes back to the release before", "towpath rollback --direct ENV")
		case direct && detach:
			return usage("--direct waits for its end", "towpath rollback --direct ENV")
		case direct:
			return console.rollBackDirectly(command.Context(), app.DirectOptions{Data: data, Environment: args[0], Reason: reason}, yes)
		case data != "" || yes:
			return usage("--data and --yes belong to --direct", "towpath rollback --direct ENV")
		}
		return console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			e, err := findEnvironment(ctx, server, args[0])
			if err != nil {
				return err
			}
			console.showBack(ctx, server, e.Key, to)
			d, err := server.RollbackTo(ctx, e.Key, client.Rollback{To: to, Reason: reason})
			if err != nil {
				return err
			}
			return console.awaitDeployment(ctx, server, d, detach)
		})(command, args)
	}
	return command
}

// showBack shows what a rollback will do, and how long that takes. Where that cannot be told the rollback is asked for all the
// same: it says itself why it is refused, and nothing else holds it up.
func (c *Console) showBack(ctx context.Context, server *client.Client, key string, to int) {
	if c.JSON {
		return
	}
	if plan, err := server.PlanBack(ctx, key, to); err == nil {
		fmt.Fprintln(c.Out, safe(strings.TrimRight(plan.Text, "\n")+"\nlength: "+plan.Length+"\n"))
	}
}

// directPlan is what a direct rollback will do, for programs.
type directPlan struct {
	Environment string `json:"environment"`
	From        int    `json:"from"`
	To          int    `json:"to"`
	Plan        string `json:"plan"`
	Warning     string `json:"warning,omitempty"` // what nobody but the person can see to
}

// directRollback shows what a rollback without the server will do, does, and did.
type directRollback struct {
	console  *Console
	progress *progress
	preview  app.DirectPreview
	began    time.Time
	steps    []line
}

func (c *Console) rollBackDirectly(ctx context.Context, o app.DirectOptions, yes bool) error {
	r := &directRollback{console: c, progress: c.newProgress()}
	o.Command, o.Log = ownCommand(), slog.New(slog.DiscardHandler)
	o.Agree = func(p app.DirectPreview) error {
		r.preview = p
		plan := strings.TrimRight(p.Forecast.String(), "\n")
		text := plan + "\n"
		if p.Warning != "" {
			text += "warning: " + p.Warning + "\n"
		}
		if err := c.Show(directPlan{Environment: p.Environment, From: p.From, To: p.To, Plan: plan, Warning: p.Warning}, text); err != nil {
			return err
		}
		if err := c.confirm(fmt.Sprintf("go back from release %d to release %d in %s, without the server?", p.From, p.To, p.Environment), yes); err != nil {
			return err
		}
		r.began = c.now()
		return nil
	}
	o.Tell = r.tell
	ended, err := app.RollBackDirectly(ctx, o)
	if err != nil {
		return err
	}
	return r.end(ended)
}

// tell shows a step where it stands. There is nobody to tell that it could not be shown.
func (r *directRollback) tell(p app.DirectProgress) {
	if r.console.JSON {
		_ = writeJSON(r.console.Out, p)
		return
	}
	name, reason, _ := strings.Cut(p.Step, ": ")
	now := r.console.now()
	last := len(r.steps) - 1
	if p.State == "begun" || last < 0 {
		r.steps = append(r.steps, line{name: name, detail: reason, state: "running", began: now, quiet: true})
	} else {
		l := &r.steps[last]
		l.state, l.ended, l.quiet = "passed", now, false
		if p.State == "failed" {
			l.state, l.detail = "failed", p.Detail
		}
	}
	_ = r.progress.show(r.preview.Environment, r.steps, false)
}

// end tells how it ended; it fails unless the release serves that it went back to.
func (r *directRollback) end(ended app.DirectEnded) error {
	text := fmt.Sprintf("release %d is live in %s; the server will hear of it", ended.To, ended.Environment)
	if !ended.Serves {
		text = joined(": ", fmt.Sprintf("%s did not go back to release %d", ended.Environment, ended.To), ended.Outcome)
	}
	if r.console.JSON {
		if err := writeJSON(r.console.Out, ended); err != nil {
			return err
		}
	} else {
		mark := "live"
		if !ended.Serves {
			mark = string(towpath.DeploymentHalted)
		}
		if len(r.steps) > 0 {
			_ = r.progress.show(r.preview.Environment, r.steps, true)
		}
		i := r.progress.ink
		fmt.Fprintln(r.console.Out, safe(joined("   ", i.mark(mark)+" "+text, lasted(r.console.now().Sub(r.began)))))
	}
	if ended.Serves {
		return nil
	}
	return told(towpath.Errorf(codeFailed, "%s", text))
}
