package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newShellCommand is "towpath shell".
func newShellCommand(console *Console) *cobra.Command {
	var run, project string
	command := &cobra.Command{
		Use:   "shell STEP",
		Short: "Open a debug shell on a worker, in place of a step's script",
		Long: "Runs the step once more, as a run of its own, with a shell in the place of its script: in its workspace, with its variables,\n" +
			"secrets, services, artifacts and caches. The script is in the file that TOWPATH_SCRIPT names. When the shell ends, all of\n" +
			"it is gone, and nothing of it is kept. The verb ends with the shell's status.\n\n" +
			"Who may open one, of which branches, and how long it lasts, is the server's to say (its settings below debug_shell). That\n" +
			"it was opened, by whom and for how long, is in the audit; what is typed is not. A connection that breaks is taken up\n" +
			"again within a minute.\n\nWithout --run it is the latest run in which the step failed. " + runHelp,
		Example: "  towpath shell unit\n  towpath shell unit --run shop#128",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&run, "run", "", "run whose step it is (default the latest in which it failed)")
	command.Flags().StringVar(&project, "project", "", "only runs of this project")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		of, err := shellRun(ctx, server, run, project, args[0])
		if err != nil {
			return err
		}
		made, err := server.OpenShell(ctx, of.Pipeline, of.Number, args[0])
		if err != nil {
			return err
		}
		console.note("a shell in the place of %s of %s opens as %s", args[0], runName(of), runName(made))
		s := shellVisit{console: console, server: server, run: made, step: args[0]}
		err = s.awaitWorker(ctx)
		if err == nil {
			err = s.visit(ctx)
		}
		if err != nil && !isTold(err) {
			s.giveUp()
		}
		return err
	})
	return command
}

// looked is how many failed runs are looked at for a step.
const looked = 50

// shellRun is the run that a person means.
func shellRun(ctx context.Context, server *client.Client, name, project, step string) (client.Run, error) {
	if name != "" {
		return findRun(ctx, server, name)
	}
	failed, err := server.Runs(ctx, client.RunFilter{Project: project, State: string(towpath.RunFailed), Limit: looked})
	if err != nil {
		return client.Run{}, err
	}
	for _, run := range failed {
		if run.Shell == "" && slices.ContainsFunc(run.Steps, func(s client.Step) bool {
			return s.Name == step && s.State == string(towpath.StepFailed)
		}) {
			return run, nil
		}
	}
	return client.Run{}, towpath.Errorf(towpath.CodeNotFound, "%q has failed in none of the latest runs", step).
		WithHint("--run names another")
}

// shellVisit is a person in their shell.
type shellVisit struct {
	console *Console
	server  *client.Client
	run     client.Run
	step    string
}

// errShellBegun ends the wait for a worker.
var errShellBegun = errors.New("the shell has begun")

// awaitWorker waits until a worker has the shell, and says meanwhile why none has.
func (s *shellVisit) awaitWorker(ctx context.Context) error {
	told := ""
	err := s.server.FollowRun(ctx, s.run.Pipeline, s.run.Number, func(run client.Run) error {
		step := s.stepOf(run)
		switch {
		case isOver(step) || run.State != string(towpath.RunRunning) && run.State != string(towpath.RunWaiting):
			return towpath.Errorf(towpath.CodeConflict, "the shell did not open: %s", fallback(step.Reason, run.Reason))
		case step.State == string(towpath.StepRunning):
			return errShellBegun
		case step.Reason != told:
			told = step.Reason
			s.console.note("%s: %s", step.State, told)
		}
		return nil
	})
	if errors.Is(err, errShellBegun) {
		return nil
	}
	return err
}

func (s *shellVisit) stepOf(run client.Run) client.Step {
	at := slices.IndexFunc(run.Steps, func(step client.Step) bool { return step.Name == s.step })
	if at < 0 {
		return client.Step{}
	}
	return run.Steps[at]
}

// isOver says that nothing more happens to a step.
func isOver(step client.Step) bool { return towpath.StepState(step.State).IsFinal() }

// giveUp cancels the run of a shell that nobody is in any more.
func (s *shellVisit) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = s.server.CancelRun(ctx, s.run.Pipeline, s.run.Number) // it may have ended
}

// visit is the time in the shell.
func (s *shellVisit) visit(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	restore, err := s.console.raw()
	if err != nil {
		return fmt.Errorf("take the terminal over: %w", err)
	}
	defer restore()
	typed := make(chan client.ShellMessage)
	go s.console.readKeys(ctx, typed)
	end, err := s.console.talk(ctx, func(ctx context.Context) (*client.ShellStream, error) {
		return s.server.AttachShell(ctx, s.run.Pipeline, s.run.Number, s.step)
	}, typed, func(m client.ShellMessage) error {
		_, err := s.console.Out.Write(m.Data)
		return err
	})
	restore()
	if err != nil {
		return err
	}
	s.console.note("towpath: the shell %s", end.Reason)
	if end.ExitCode == 0 {
		return nil
	}
	return told(statusError{end.ExitCode})
}

// raw hands each key to the shell as it is typed, where a person sits before a terminal. What it answers undoes that once.
func (c *Console) raw() (restore func(), err error) {
	file, is := terminalOf(c.In)
	if !is {
		return func() {}, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	done := false
	return func() {
		if !done {
			done = true
			_ = term.Restore(int(file.Fd()), before)
		}
	}, nil
}

// endOfInput is what a terminal makes of control-D.
const endOfInput = 4

// readKeys reads what is typed, or comes from a file, which ends with the key that ends the input.
func (c *Console) readKeys(ctx context.Context, typed chan<- client.ShellMessage) {
	for {
		piece := make([]byte, 4<<10)
		n, err := c.In.Read(piece)
		if err != nil {
			n, piece = 1, []byte{endOfInput}
		}
		select {
		case typed <- client.ShellMessage{Data: piece[:n]}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.note("towpath: nothing more can be read: %s", err)
			}
			return
		}
	}
}
