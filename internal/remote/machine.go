package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
)

const (
	// lockPatience is how long the lock of a machine is waited for. Who has it gives it back by the deadline of its own watchdog.
	lockPatience = 15 * time.Second
	// orderLimit is how long an order may take on a machine, where its context has no deadline.
	orderLimit = 5 * time.Minute
	// deadlineSlack is how much earlier the watchdog on the machine ends an order than its keeper stops waiting for it.
	deadlineSlack = 8 * time.Second
)

// Runner runs scripts on a machine, as an ssh.Host does.
type Runner interface {
	Run(ctx context.Context, c ssh.Command) (ssh.Result, error)
}

// Machine is where orders are carried out.
type Machine struct {
	Name string // for messages
	Runner
}

// Limit is how long an order may take on its machine.
func Limit(ctx context.Context) time.Duration {
	deadline, has := ctx.Deadline()
	if !has {
		return orderLimit
	}
	return min(orderLimit, max(time.Until(deadline)-deadlineSlack, time.Second))
}

// Under is what every order tells its script: under which epoch it is given, what it is about, and when it has to be over.
func Under(ctx context.Context, epoch towpath.Epoch, what string) map[string]string {
	limit := Limit(ctx)
	return map[string]string{
		"TW_WHAT": what, "TW_EPOCH": strconv.FormatUint(epoch.Number, 10), "TW_HOLDER": epoch.Holder,
		"TW_LIMIT": Seconds(limit), "TW_WAIT": Seconds(min(lockPatience, limit/2)),
	}
}

// Seconds writes a time for a script: whole seconds, one at least.
func Seconds(d time.Duration) string { return strconv.Itoa(int(max(d, time.Second) / time.Second)) }

// Ask runs a script to its end, and answers what it told. A script that does not come to its last word has failed. The
// error has a kind of package deploy.
func (m Machine) Ask(ctx context.Context, script string, variables map[string]string, input io.Reader) ([]Word, error) {
	result, err := m.Run(ctx, ssh.Command{Script: script, Env: variables, Input: input})
	if err != nil {
		return nil, Explain(err)
	}
	var said []Word
	for line := range strings.SplitSeq(strings.TrimSuffix(result.Output, "\n"), "\n") {
		said = append(said, ParseWord(line))
	}
	return said, m.Judge(said, result)
}

// Judge finds in what a script told why it did not come to its end.
func (m Machine) Judge(said []Word, result ssh.Result) error {
	var log []string
	for _, w := range said {
		switch w.Is {
		case "log":
			log = append(log, m.Name+": "+w.At(0))
		case "stale":
			number, _ := strconv.ParseUint(w.At(0), 10, 64)
			return &deploy.StaleEpoch{Seen: towpath.Epoch{Number: number, Holder: w.At(1)}}
		case "fail":
			return failure(w, fmt.Errorf("%s: %s", m.Name, w.At(1)), log)
		}
	}
	if result.Status != 0 {
		reason := cmp.Or(strings.TrimSpace(result.Said), "nothing was said")
		return &deploy.UnknownOutcome{Err: fmt.Errorf("%s: a script ended with status %d: %s", m.Name, result.Status, reason)}
	}
	return nil
}

// failure gives a failure the kind that the script says.
func failure(w Word, err error, log []string) error {
	switch w.At(0) {
	case "again":
		return &deploy.Retryable{Err: err}
	case "broken":
		return &deploy.Permanent{Err: err, Log: log}
	}
	return &deploy.UnknownOutcome{Err: err} // its watchdog ended it
}

// Explain gives what is wrong with a connection its kind.
func Explain(err error) error {
	var notBegun *ssh.Error
	switch {
	case ssh.IsLasting(err):
		return &deploy.Permanent{Err: err}
	case errors.As(err, &notBegun):
		return &deploy.Retryable{Err: err}
	}
	return &deploy.UnknownOutcome{Err: err}
}

// Word is a line that a script told.
type Word struct {
	Is    string // its first part
	parts []string
}

// ParseWord reads one.
func ParseWord(line string) Word {
	parts := strings.Split(line, "\t")
	return Word{Is: parts[0], parts: parts[1:]}
}

// At is a further part; empty where there is none.
func (w Word) At(n int) string {
	if n < len(w.parts) {
		return w.parts[n]
	}
	return ""
}

// Number is a further part as a number; 0 where it is none.
func (w Word) Number(n int) int64 {
	number, _ := strconv.ParseInt(w.At(n), 10, 64)
	return number
}

// Rest is all parts but the first n, as they were written.
func (w Word) Rest(n int) string { return strings.Join(w.parts[min(n, len(w.parts)):], "\t") }
