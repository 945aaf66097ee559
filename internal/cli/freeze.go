package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// frozen is what freeze and thaw are about: one environment, or what reaches further.
type frozen struct {
	project string // its name
	every   string // name of environments
}

func (f *frozen) flags(command *cobra.Command) {
	command.Flags().StringVar(&f.project, "project", "", "all environments of this project, instead of ENV")
	command.Flags().StringVar(&f.every, "every", "", "all environments of this name, on the whole server, instead of ENV")
}

// check refuses what names two things, or nothing.
func (f *frozen) check(args []string, isNothingFine bool) error {
	named := len(args)
	for _, wide := range []string{f.project, f.every} {
		if wide != "" {
			named++
		}
	}
	if named == 1 || named == 0 && isNothingFine {
		return nil
	}
	return usage("name one environment, or --project, or --every", "towpath freeze shop/production, towpath freeze --every production")
}

// newFreezeCommand is "towpath freeze".
func newFreezeCommand(console *Console) *cobra.Command {
	var of frozen
	var wish client.NewFreeze
	var until string
	command := &cobra.Command{
		Use:   "freeze [ENV]",
		Short: "Let no deployment start in an environment, a project, or everywhere of a name",
		Long: "What is asked for meanwhile is refused, with who froze it and why. A rollback may start all the same. Without ENV,\n" +
			"--project and --every it lists the freezes that reach further than one environment. " + environmentHelp,
		Example: "  towpath freeze production --reason \"christmas sale\" --until 2026-12-27\n" +
			"  towpath freeze --every production --until 8h --reason \"the fair\"\n  towpath freeze",
		Args: cobra.MaximumNArgs(1),
	}
	of.flags(command)
	command.Flags().StringVar(&wish.Reason, "reason", "", "why, for whoever is refused")
	command.Flags().StringVar(&until, "until", "", "when it ends by itself: 2026-12-24, \"2026-12-24 18:00\", 18:00, or 8h from now (default: towpath thaw ends it)")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if err := of.check(args, true); err != nil {
			return err
		}
		if wish.Until, err = console.timeToCome(until); err != nil {
			return err
		}
		switch {
		case of.project != "":
			return console.showFreeze(server.FreezeProject(ctx, of.project, wish))
		case of.every != "":
			return console.showFreeze(server.FreezeName(ctx, of.every, wish))
		case len(args) == 0:
			return console.listFreezes(ctx, server)
		}
		return console.changeEnvironment(ctx, server, args[0], "is frozen"+untilText(wish.Until, console.now())+"; towpath thaw ends that",
			func(key string) (client.Environment, error) {
				return server.Freeze(ctx, key, wish.Reason, wish.Until)
			})
	})
	return command
}

// newThawCommand is "towpath thaw".
func newThawCommand(console *Console) *cobra.Command {
	var of frozen
	command := &cobra.Command{
		Use: "thaw [ENV]", Aliases: []string{"unfreeze"}, Short: "End a freeze",
		Long:    environmentHelp,
		Example: "  towpath thaw production\n  towpath unfreeze --every production",
		Args:    cobra.MaximumNArgs(1),
	}
	of.flags(command)
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		if err := of.check(args, false); err != nil {
			return err
		}
		switch {
		case of.project != "":
			return console.showThawed("the project "+of.project, server.ThawProject(ctx, of.project))
		case of.every != "":
			return console.showThawed("every "+of.every, server.ThawName(ctx, of.every))
		}
		return console.changeEnvironment(ctx, server, args[0], "takes deployments again", func(key string) (client.Environment, error) {
			return server.Thaw(ctx, key)
		})
	})
	return command
}

// newStartCommand is "towpath start".
func newStartCommand(console *Console) *cobra.Command {
	var wish client.StartNow
	var release int
	command := &cobra.Command{
		Use:   "start ENV",
		Short: "Let a deployment start now that waits for its window",
		Long: "Lets the first deployment that waits in an environment start outside of its windows, or with --release the one of that\n" +
			"release, which then goes before the others. The reason stands in the audit and in the history. " + environmentHelp,
		Example: "  towpath start production --reason \"the checkout is broken\"",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&wish.Reason, "reason", "", "why it cannot wait; required")
	command.Flags().IntVar(&release, "release", 0, "which of those that wait (default: the first)")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		if wish.Reason == "" {
			return usage("why can it not wait?", "towpath start "+word(args[0])+" --reason TEXT")
		}
		e, err := findEnvironment(ctx, server, args[0])
		if err != nil {
			return err
		}
		for _, d := range e.Queue {
			if d.Release == release && wish.Deployment == "" {
				wish.Deployment = d.ID
			}
		}
		if release > 0 && wish.Deployment == "" {
			return usage(fmt.Sprintf("no deployment of release %d waits in %s", release, e.Key), "towpath environments "+e.Key+" shows what waits")
		}
		d, err := server.Start(ctx, e.Key, wish)
		if err != nil {
			return err
		}
		return console.Show(d, fmt.Sprintf("release %d for %s may start outside of its window; it is %s", d.Release, e.Key, d.State))
	})
	return command
}

// timeToCome reads a time of this machine's zone, or how long until then.
func (c *Console) timeToCome(text string) (time.Time, error) {
	now := c.now()
	if text == "" {
		return time.Time{}, nil
	}
	if length, err := time.ParseDuration(text); err == nil {
		return now.Add(length), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, nil
		}
	}
	if at, err := time.ParseInLocation("15:04", text, now.Location()); err == nil {
		today := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
		if today.After(now) {
			return today, nil
		}
		return today.AddDate(0, 0, 1), nil
	}
	return time.Time{}, usage(fmt.Sprintf("%q is not a time", text), `write 2026-12-24, "2026-12-24 18:00", 18:00 or 8h`)
}

func untilText(until, now time.Time) string {
	if until.IsZero() {
		return ""
	}
	return " until " + clock(until, now)
}

func (c *Console) showFreeze(f client.Freeze, err error) error {
	if err != nil {
		return err
	}
	what := "every " + f.Of
	if f.Scope == "project" {
		what = "the project " + f.Of
	}
	return c.Show(f, what+" is frozen"+untilText(f.Until, c.now())+"; towpath thaw ends that")
}

// thawed is what takes deployments again, for programs.
type thawed struct {
	Thawed string `json:"thawed"`
}

func (c *Console) showThawed(what string, err error) error {
	if err != nil {
		return err
	}
	return c.Show(thawed{Thawed: what}, what+" takes deployments again")
}

func (c *Console) listFreezes(ctx context.Context, server *client.Client) error {
	freezes, err := server.Freezes(ctx)
	if err != nil {
		return err
	}
	now := c.now()
	t := newTable(c.ink(), "", "of", "by", "since", "until", "")
	for _, f := range freezes {
		until := "it is thawed"
		if !f.Until.IsZero() {
			until = clock(f.Until, now)
		}
		t.add(f.Scope, f.Of, f.By, ago(f.Since, now), until, f.Reason)
	}
	return c.Show(listed(freezes), t.or("nothing is frozen but what towpath environments shows"))
}
