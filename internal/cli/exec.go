package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// execWish is what "towpath exec" was told.
type execWish struct {
	client.Exec
	all    bool
	within time.Duration
}

// newExecCommand is "towpath exec".
func newExecCommand(console *Console) *cobra.Command {
	wish := execWish{}
	command := &cobra.Command{
		Use:   "exec ENV [-- COMMAND...]",
		Short: "Run one command in the live release of an environment",
		Long: "Runs a command where the live release is: in its folder, as its user, with its variables and secrets, but without a PORT.\n" +
			"It runs on the first healthy instance, unless --host, --instance or --all says otherwise. What it prints comes as it is\n" +
			"printed, with secrets masked; what is piped in is its input; from a terminal it has a terminal (--tty=false: not). The\n" +
			"verb ends with the command's status, with --all with the worst, and where it could not be run with 1.\n\n" +
			"Control-C ends the command and all that it started. So does a minute without its person, the end of its worker, and\n" +
			"--within. It runs beside deployments. The audit has who ran what, when, and how it ended.\n\n" +
			"Without a command it lists those that were run. " + environmentHelp,
		Example: "  towpath exec production -- ./manage.py migrate --check\n" +
			"  echo 'select 1' | towpath exec shop/production -- psql\n  towpath exec production --all -- df -h .",
		Args: cobra.MinimumNArgs(1),
	}
	flags := command.Flags()
	flags.StringVar(&wish.Host, "host", "", "run it on this host")
	flags.StringVar(&wish.Instance, "instance", "", "run it in this instance, such as r42-7")
	flags.BoolVar(&wish.all, "all", false, "run it in every instance of the live release, one after the other, without input")
	flags.BoolVar(&wish.Terminal, "tty", false, "give it a terminal (default where the verb has one)")
	flags.DurationVar(&wish.within, "within", time.Hour, "end it after so long")
	flags.StringVar(&wish.Reason, "reason", "", "why, for the record")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		e, err := findEnvironment(ctx, server, args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return console.listErrands(ctx, server, e.Key)
		}
		wish.Command, wish.Within = args[1:], wish.within.Seconds()
		if !flags.Changed("tty") {
			wish.Terminal = console.isTerminal() && !wish.all
		}
		if wish.all {
			return console.execEverywhere(ctx, server, e, wish)
		}
		_, err = console.exec(ctx, server, e.Key, wish)
		return err
	})
	return command
}

// isTerminal says that a person reads and types at terminals.
func (c *Console) isTerminal() bool {
	_, reads := terminalOf(c.In)
	_, writes := terminalOf(c.Out)
	return reads && writes && !c.JSON
}

// execEverywhere runs a command in every instance of the live release, and answers the worst status.
func (c *Console) execEverywhere(ctx context.Context, server *client.Client, e client.Environment, wish execWish) error {
	if wish.Host != "" || wish.Instance != "" || wish.Terminal {
		return usage("--all goes with none of --host, --instance and --tty", "leave --all or the other out")
	}
	if e.Live == nil {
		return towpath.Errorf(towpath.CodeConflict, "nothing is live in %s", e.Key)
	}
	var worst error
	most, count := 0, 0
	for _, i := range e.Instances {
		if i.Release != e.Live.Number || i.State != "running" {
			continue
		}
		wish.Instance = i.ID
		count++
		c.note("%s:", joined(" ", i.ID, i.Address))
		status, err := c.exec(ctx, server, e.Key, wish)
		if err != nil && !isTold(err) {
			c.fail(describe(ctx, err))
			status, err = ExitFailed, told(err)
		}
		if status > most {
			most, worst = status, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if count == 0 {
		return towpath.Errorf(towpath.CodeConflict, "no instance of release %d is seen to run in %s", e.Live.Number, e.Key)
	}
	return worst
}

// exec runs a command once, and answers its status; as an error as well, where it is not 0.
func (c *Console) exec(ctx context.Context, server *client.Client, key string, wish execWish) (status int, err error) {
	errand, err := server.Exec(ctx, key, wish.Exec)
	if err != nil {
		return ExitFailed, err
	}
	v := &errandVisit{console: c, server: server, errand: errand, wish: wish, typed: make(chan client.ShellMessage), taken: make(chan int64, 1)}
	end, err := v.visit(ctx)
	if err != nil {
		return ExitFailed, err
	}
	if lost := end.Output + end.Errors - v.output - v.errors; lost != 0 {
		return ExitFailed, towpath.Errorf(towpath.CodeUnavailable,
			"%s %s, but what it printed is not whole: a connection broke meanwhile", wish.Command[0], end.Reason)
	}
	if c.JSON {
		err = writeJSON(c.Out, execEnd{ID: errand.ID, Instance: errand.Instance, ExitCode: end.ExitCode, Outcome: end.Reason})
	} else if !strings.HasPrefix(end.Reason, "exited") {
		c.note("towpath: the command %s", end.Reason)
	}
	if err != nil || end.ExitCode == 0 {
		return 0, err
	}
	if end.ExitCode < 0 {
		end.ExitCode = ExitFailed
	}
	return end.ExitCode, told(statusError{end.ExitCode})
}

// execPiece and execEnd are what "towpath exec --json" writes, one a line.
type execPiece struct {
	Output string `json:"output,omitempty"`
	Errors string `json:"errors,omitempty"`
}

type execEnd struct {
	ID       string `json:"id"`
	Instance string `json:"instance"`
	ExitCode int    `json:"exit_code"`
	Outcome  string `json:"outcome"`
}

// listErrands shows what was run.
func (c *Console) listErrands(ctx context.Context, server *client.Client, key string) error {
	errands, err := server.Errands(ctx, key)
	if err != nil {
		return err
	}
	if len(errands) == 0 {
		return c.Show(listed(errands), "no commands were run in "+key)
	}
	return c.Show(errands, c.errandTable(errands).String())
}

func (c *Console) errandTable(errands []client.Errand) *table {
	t := newTable(c.ink(), "", "when", "by", "where", "command", "how it ended")
	for _, e := range errands {
		state := "running"
		switch {
		case e.State == "waiting":
			state = "waiting"
		case e.State == "ended" && e.ExitCode == 0:
			state = "passed"
		case e.State == "ended":
			state = "failed"
		}
		t.add(c.ink().mark(state), ago(e.RequestedAt, c.now()), e.By, joined(" ", e.Slot, e.Instance), oneLine(strings.Join(e.Command, " ")), joined("; ", e.Outcome, e.Reason))
	}
	return t
}

// errandVisit is a person at their command.
type errandVisit struct {
	console *Console
	server  *client.Client
	errand  client.Errand
	wish    execWish
	typed   chan client.ShellMessage
	taken   chan int64 // one slot: how much of the input was read
	output  int64      // bytes that came
	errors  int64
}

// visit is the time at it. An interrupt has it ended, and waits for that.
func (v *errandVisit) visit(interrupt context.Context) (client.ShellEnd, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(interrupt))
	defer cancel()
	defer context.AfterFunc(interrupt, func() { v.says(ctx, client.ShellMessage{Stop: true}) })()
	restore := func() {}
	if v.wish.Terminal {
		var err error
		if restore, err = v.console.raw(); err != nil {
			return client.ShellEnd{}, fmt.Errorf("take the terminal over: %w", err)
		}
		go v.console.readKeys(ctx, v.typed)
	} else {
		go v.readInput(ctx)
	}
	defer restore()
	return v.console.talk(ctx, func(ctx context.Context) (*client.ShellStream, error) {
		return v.server.AttachErrand(ctx, v.errand.Environment, v.errand.ID)
	}, v.typed, v.hear)
}

func (v *errandVisit) says(ctx context.Context, m client.ShellMessage) bool {
	select {
	case v.typed <- m:
		return true
	case <-ctx.Done():
		return false
	}
}

// readInput sends what is piped in, no faster than it is read, and its end. What a person types without a terminal for the
// command is not for it.
func (v *errandVisit) readInput(ctx context.Context) {
	sent, taken := int64(0), int64(0)
	_, isTyped := terminalOf(v.console.In)
	for !isTyped && !v.wish.all {
		piece := make([]byte, client.MostErrors)
		n, err := v.console.In.Read(piece)
		if n > 0 && !v.says(ctx, client.ShellMessage{Data: piece[:n]}) {
			return
		}
		sent += int64(n)
		if err != nil {
			break
		}
		for sent-taken > client.InputAhead-client.MostErrors {
			select {
			case taken = <-v.taken:
			case <-ctx.Done():
				return
			}
		}
	}
	v.says(ctx, client.ShellMessage{EndsInput: &sent})
}

// hear shows what the command prints.
func (v *errandVisit) hear(m client.ShellMessage) error {
	v.output += int64(len(m.Data))
	v.errors += int64(len(m.Errors))
	if m.Taken > 0 {
		select {
		case <-v.taken:
		default:
		}
		v.taken <- m.Taken
	}
	if len(m.Data)+len(m.Errors) == 0 {
		return nil
	}
	if v.console.JSON {
		return writeJSON(v.console.Out, execPiece{Output: string(m.Data), Errors: string(m.Errors)})
	}
	_, err := v.console.Out.Write(m.Data)
	_, failed := v.console.Err.Write(m.Errors)
	return errors.Join(err, failed)
}
