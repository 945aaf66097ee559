package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newWorkersDrainCommand is "towpath workers drain".
func newWorkersDrainCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "drain WORKER",
		Short:   "Give a worker no new steps",
		Long:    "What the worker runs comes to its end, and it goes on keeping its environments. " + workerHelp,
		Example: "  towpath workers drain barge-3",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			return console.drain(ctx, server, args[0], true)
		}),
	}
}

// newWorkersResumeCommand is "towpath workers resume".
func newWorkersResumeCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "resume WORKER",
		Short:   "Give a worker steps again",
		Long:    "Ends towpath workers drain. " + workerHelp,
		Example: "  towpath workers resume barge-3",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			return console.drain(ctx, server, args[0], false)
		}),
	}
}

// newWorkersLabelCommand is "towpath workers label".
func newWorkersLabelCommand(console *Console) *cobra.Command {
	var change client.Labeling
	command := &cobra.Command{
		Use:   "label WORKER",
		Short: "Give a worker labels, or take some from it",
		Long: "Steps find a worker by its labels: worker: {labels: [gpu]}. What is given or taken here stays so when the worker is\n" +
			"started again. A worker has labels of its own as well: those of --label, and has=PROGRAM for programs that it finds. " + workerHelp,
		Example: "  towpath workers label barge-3 --add gpu --remove has=docker",
		Args:    cobra.ExactArgs(1),
	}
	flags := command.Flags()
	flags.StringSliceVar(&change.Add, "add", nil, "labels to give")
	flags.StringSliceVar(&change.Remove, "remove", nil, "labels to take")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		worker, err := findWorker(ctx, server, args[0])
		if err != nil {
			return err
		}
		if worker, err = server.LabelWorker(ctx, worker.ID, change); err != nil {
			return err
		}
		labels := strings.Join(worker.Labels, ", ")
		return console.Show(worker, worker.Name+" has "+fallback(labels, "no labels"))
	})
	return command
}

// newWorkersRemoveCommand is "towpath workers remove".
func newWorkersRemoveCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "remove WORKER",
		Short: "Forget a worker, and its key",
		Long: "The worker ends once it notices. What it runs is lost, and runs again elsewhere where that is safe; environments on its\n" +
			"machine are unattended, and serve on. Drain it first. " + workerHelp,
		Example: "  towpath workers remove barge-3",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			worker, err := findWorker(ctx, server, args[0])
			if err != nil {
				return err
			}
			if err := server.RemoveWorker(ctx, worker.ID); err != nil {
				return err
			}
			return console.Show(removed{worker.Name}, worker.Name+" is removed")
		}),
	}
}

// workerHelp explains how verbs name a worker.
const workerHelp = "WORKER is its name, or its ID where several have that name (towpath workers --json)."

func (c *Console) drain(ctx context.Context, server *client.Client, name string, draining bool) error {
	worker, err := findWorker(ctx, server, name)
	if err != nil {
		return err
	}
	if err := server.DrainWorker(ctx, worker.ID, draining); err != nil {
		return err
	}
	worker.Draining = draining
	text := worker.Name + " gets steps again"
	if draining {
		text = fmt.Sprintf("%s gets no new steps; it runs %d", worker.Name, worker.Running)
	}
	return c.Show(worker, text)
}

// findWorker finds the one of that name or ID.
func findWorker(ctx context.Context, server *client.Client, name string) (client.Worker, error) {
	workers, err := server.Workers(ctx)
	if err != nil {
		return client.Worker{}, err
	}
	var found []client.Worker
	var names []string
	for _, w := range workers {
		if w.ID == name {
			return w, nil
		}
		if w.Name == name {
			found = append(found, w)
		}
		names = append(names, w.Name)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		missing := towpath.Errorf(towpath.CodeNotFound, "there is no worker %q", name)
		if len(names) > 0 {
			missing = missing.WithHint("there are %s", strings.Join(names, ", "))
		}
		return client.Worker{}, missing
	}
	var ids []string
	for _, w := range found {
		ids = append(ids, w.ID)
	}
	return client.Worker{}, usage(fmt.Sprintf("%d workers are named %s", len(found), name), "one of "+strings.Join(ids, ", "))
}
