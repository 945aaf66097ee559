// Package cli is Towpath's command line, one file a verb.
//
// A verb is a function newNameCommand(console) in its own file, and one line in newRootCommand. What holds for all
// of them stands here, in console.go and in errors.go: --json, the exit codes, how errors are told, and that a
// mistyped verb or a wrong argument is answered with what would be right.
package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/config"
)

// The exit codes of every verb.
const (
	ExitDone   = 0 // what was asked for is done
	ExitFailed = 1 // it was understood, and could not be done
	ExitUsage  = 2 // it was not understood: a wrong verb, flag or argument
)

// Main runs the verb in args on the process's own streams and returns its exit code. The first interrupt or
// SIGTERM asks the verb to end; the second one kills, as it would any program.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	return Execute(ctx, args, &Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

// Execute runs the verb in args on console and returns its exit code. An error is told once, on console.Err.
func Execute(ctx context.Context, args []string, console *Console) int {
	var started bool
	root := newRootCommand(console)
	prepare(root, &started)
	root.SetArgs(append([]string{}, args...)) // nil would be the arguments of the process

	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	if !started {
		err = asUsage(err)
	}
	console.JSON = console.JSON || asksForJSON(args)
	if console.JSON || !isTold(err) {
		console.fail(describe(ctx, err))
	}
	return exitCode(err)
}

// newRootCommand is the list of all verbs, in the sections in which help shows them.
func newRootCommand(console *Console) *cobra.Command {
	root := &cobra.Command{
		Use:           "towpath",
		Short:         "Towpath takes a change from a push to live traffic, and back again when it must",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(console.In)
	root.SetOut(console.Out)
	root.SetErr(console.Err)
	root.PersistentFlags().BoolVar(&console.JSON, "json", false, "write JSON for programs, and errors as {code, message, hint}")
	root.PersistentFlags().StringVar(&console.server, "server", "", "the server's address (default TOWPATH_SERVER, the login, http://"+config.DefaultListen+")")
	root.PersistentFlags().StringVar(&console.token, "token", "", "what to show the server (default TOWPATH_TOKEN, the login, the owner's token)")
	root.SetHelpCommand(newHelpCommand(root))

	section(root, "Write a pipeline:", newCheckCommand(console), newSchemaCommand(console))
	section(root, "Follow a change:",
		newProjectCommand(console), newDeliveriesCommand(console), newChangesCommand(console), newRunCommand(console),
		newRunsCommand(console), newStatusCommand(console),
		newLogCommand(console), newTestsCommand(console), newCancelCommand(console), newRerunCommand(console), newShellCommand(console), newApproveCommand(console), newRejectCommand(console), newCacheCommand(console))
	section(root, "Move traffic:",
		newBoardCommand(console), newEnvironmentsCommand(console), newReleasesCommand(console), newPlanCommand(console), newDeployCommand(console),
		newRollbackCommand(console), newPromoteCommand(console), newFreezeCommand(console), newThawCommand(console), newStartCommand(console),
		newUnpinCommand(console), newGoneCommand(console), newPolicyCommand(console), newDeploymentsCommand(console), newHistoryCommand(console),
		newExecCommand(console), newEnvironmentCommand(console))
	section(root, "People and machines:",
		newLoginCommand(console), newLogoutCommand(console), newUserCommand(console), newGroupCommand(console),
		newTokenCommand(console), newSecretCommand(console), newWorkersCommand(console), newAuditCommand(console))
	section(root, "Run Towpath:", newDemoCommand(console), newServerCommand(console), newWorkerCommand(console), newProxyCommand(console),
		newBackupCommand(console), newRestoreCommand(console), newSimulateCommand(console))
	root.AddCommand(newVersionCommand(console), newHoldCommand(console), newSuperviseCommand(console), newConfineCommand(), newLeashCommand(console))
	return root
}

// section adds verbs under a heading of their own.
func section(root *cobra.Command, title string, verbs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, verb := range verbs {
		verb.GroupID = title
		root.AddCommand(verb)
	}
}
