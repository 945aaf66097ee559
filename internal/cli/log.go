package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newLogCommand is "towpath log".
func newLogCommand(console *Console) *cobra.Command {
	var query client.LogQuery
	var part logPart
	command := &cobra.Command{
		Use:   "log [STEP] [RUN]",
		Short: "Print the log of a step",
		Long: "Prints what a step's script printed, as it printed it. Without STEP it is the step that runs, or else the one that\n" +
			"failed, or else the last one. With --follow it goes on until the step has ended, also over a broken connection.\n" +
			"Lines are numbered from 1. With --search it is the lines with a text, each behind its number; a text without a\n" +
			"capital letter stands for capital letters as well. The server searches, and colours are looked through.\n" +
			runHelp + " Without RUN it is the latest one.",
		Example: "  towpath log --follow\n  towpath log unit\n  towpath log unit shop#128 --attempt 1\n" +
			"  towpath log unit --tail 50 --follow\n  towpath log unit --search 'error:'\n  towpath log unit --lines 1200-1300",
		Args: cobra.MaximumNArgs(2),
	}
	command.Flags().BoolVarP(&query.Follow, "follow", "f", false, "go on until the step has ended")
	command.Flags().IntVar(&query.Attempt, "attempt", 0, "an earlier attempt (default the last one)")
	command.Flags().StringVar(&part.lines, "lines", "", "only these: FROM-TO, FROM- or one number")
	command.Flags().Int64Var(&part.tail, "tail", 0, "only so many from the end, and what follows")
	command.Flags().StringVar(&part.search, "search", "", "only lines with this text")
	command.MarkFlagsMutuallyExclusive("lines", "tail", "search")
	command.MarkFlagsMutuallyExclusive("lines", "follow")
	command.MarkFlagsMutuallyExclusive("search", "follow")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		step, name := splitLogArguments(args)
		run, err := findRun(ctx, server, name)
		if err != nil {
			return err
		}
		if step == "" {
			if step, err = stepToRead(run); err != nil {
				return err
			}
			console.note("the log of %s in %s:", step, runName(run))
		}
		query.Step, query.Pipeline, query.Run = step, run.Pipeline, run.Number
		l := logCopy{console: console, server: server, query: query, named: query.Attempt > 0}
		if done, err := l.narrow(ctx, part, run); done || err != nil {
			return err
		}
		if console.JSON && !query.Follow {
			return l.document(ctx)
		}
		return l.follow(ctx)
	})
	return command
}

// splitLogArguments tells a step from a run, whose number no step's name holds.
func splitLogArguments(args []string) (step, run string) {
	switch {
	case len(args) == 2:
		return args[0], args[1]
	case len(args) == 1 && strings.Contains(args[0], "#"):
		return "", args[0]
	}
	return first(args), ""
}

// stepToRead is the step that a person wants to look at who names none.
func stepToRead(run client.Run) (string, error) {
	found, rank := "", 0
	for _, s := range run.Steps {
		if n := worth(s); n > 0 && n >= rank {
			found, rank = s.Name, n
		}
	}
	if found == "" {
		return "", towpath.Errorf(towpath.CodeNotFound, "no step of %s has printed anything yet", runName(run)).
			WithHint("towpath status %s says why", runName(run))
	}
	return found, nil
}

// worth ranks the steps that have a log: 0 is none.
func worth(s client.Step) int {
	switch {
	case s.Attempt == 0:
		return 0
	case s.State == "running":
		return 3
	case s.State == "failed":
		return 2
	}
	return 1
}

// logPiece is a part of a log for programs.
type logPiece struct {
	Pipeline string `json:"pipeline"`
	Run      int    `json:"run"` // number
	Step     string `json:"step"`
	Offset   int64  `json:"offset"` // of the text's first byte
	Text     string `json:"text"`
}

// logCopy copies a log to Out.
type logCopy struct {
	console *Console
	server  *client.Client
	query   client.LogQuery // its offset is what was copied
	end     int64           // offset behind what is copied; 0 is the log's end
	named   bool            // the attempt is the one that a person named
	moved   bool            // a newer attempt has begun, whose log is to be copied from its start
}

func (l *logCopy) piece(text []byte) logPiece {
	return logPiece{Pipeline: l.query.Pipeline, Run: l.query.Run, Step: l.query.Step, Offset: l.query.Offset, Text: string(text)}
}

// document answers the whole log at once.
func (l *logCopy) document(ctx context.Context) error {
	body, err := l.server.Log(ctx, l.query)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(l.upToEnd(body))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return writeJSON(l.console.Out, l.piece(text))
}

// follow copies until there is no more, or, when following, until the step has ended.
func (l *logCopy) follow(ctx context.Context) error {
	retry := l.console.newRetry()
	for {
		done, err := l.once(ctx, retry)
		if done {
			return err
		}
		if l.moved {
			continue
		}
		if err := retry.again(ctx, err); err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
	}
}

// errWriting says that Out does not take any more.
var errWriting = errors.New("the log cannot be written")

// once copies over one connection. It is done when nothing is left to copy, or nobody is there to read it.
func (l *logCopy) once(ctx context.Context, retry *retry) (done bool, err error) {
	if _, err := l.look(ctx); err != nil {
		return false, err
	}
	l.moved = false
	body, err := l.server.Log(ctx, l.query)
	if err != nil {
		return false, err
	}
	defer body.Close()
	retry.answered = true
	err = l.copy(l.upToEnd(body), retry)
	switch {
	case errors.Is(err, errWriting):
		return true, err
	case err != nil:
		return false, &client.Error{Code: "unavailable", Message: "the log was cut off: " + err.Error(), Err: err}
	case !l.query.Follow:
		return true, nil
	}
	return l.look(ctx)
}

// look finds out whether a step has ended, which tells the end of its log from that of a connection, and which attempt
// is the current one: an offset is worth nothing in another attempt's log.
func (l *logCopy) look(ctx context.Context) (ended bool, err error) {
	run, err := l.server.Run(ctx, l.query.Pipeline, l.query.Run)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(run.Steps, func(s client.Step) bool { return s.Name == l.query.Step })
	if at < 0 {
		return true, nil // the server says so better
	}
	step := run.Steps[at]
	ended = step.State == "passed" || step.State == "failed" || step.State == "skipped" || step.State == "canceled"
	if l.named {
		return ended || step.Attempt > l.query.Attempt, nil
	}
	if l.moved = step.Attempt > max(1, l.query.Attempt) && (l.query.Attempt > 0 || l.query.Offset > 0); l.moved {
		l.console.note("attempt %d:", step.Attempt)
		l.query.Offset = 0
	}
	l.query.Attempt = step.Attempt
	return ended && !l.moved, nil
}

// copy writes whole characters only, so that a piece for programs is a text.
func (l *logCopy) copy(body io.Reader, retry *retry) error {
	piece, held := make([]byte, 32<<10), 0
	for {
		n, err := body.Read(piece[held:])
		if n > 0 {
			retry.succeeded()
		}
		there := piece[:held+n]
		whole := len(there)
		if err != io.EOF { // what is left out now comes again, from the offset of what was written
			whole = wholeCharacters(there)
		}
		if err := l.write(there[:whole]); err != nil {
			return fmt.Errorf("%w: %w", errWriting, err)
		}
		held = copy(piece, there[whole:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// wholeCharacters is how much of a text is left when a character that is cut off at its end is not counted.
func wholeCharacters(text []byte) int {
	for cut := 1; cut < utf8.UTFMax && cut <= len(text); cut++ {
		from := len(text) - cut
		if utf8.RuneStart(text[from]) {
			if !utf8.FullRune(text[from:]) {
				return from
			}
			break
		}
	}
	return len(text)
}

func (l *logCopy) write(text []byte) (err error) {
	if len(text) == 0 {
		return nil
	}
	if l.console.JSON {
		err = writeJSON(l.console.Out, l.piece(text))
	} else {
		_, err = l.console.Out.Write(text)
	}
	l.query.Offset += int64(len(text))
	return err
}
