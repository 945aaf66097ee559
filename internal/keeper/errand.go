package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/secret"
)

// Why a command ends that did not by itself.
var (
	errErrandStopped = errors.New("its person stopped it")
	errErrandAlone   = errors.New("its person was gone")
	errErrandLate    = errors.New("its time was over")
	errErrandInput   = errors.New("its input was cut off")
)

// errandPiece is how much of what a command prints is sent at a time, in bytes.
const errandPiece = client.MostErrors

// errand is a command under way, and the stream to the server by which its person reaches it.
type errand struct {
	performer *performer
	call      client.ErrandCall
	order     client.ErrandOrder
	stop      context.CancelCauseFunc
	masker    *secret.Masker
	input     *inbox
	sizes     chan deploy.TerminalSize
	printed   chan client.ShellMessage
	ended     chan client.ShellEnd
	there     chan struct{} // closed once its person is there
	muted     chan struct{} // closed once nobody listens any more
	output    printer
	errors    printer

	mutex  sync.Mutex
	size   deploy.TerminalSize
	alone  *time.Timer
	isSeen bool // its person was there
	mute   func()
}

func newErrand(p *performer, call client.ErrandCall, order client.ErrandOrder, stop context.CancelCauseFunc) *errand {
	e := &errand{
		performer: p, call: call, order: order, stop: stop, masker: secret.NewMasker(), input: newInbox(), sizes: make(chan deploy.TerminalSize, 1),
		printed: make(chan client.ShellMessage), ended: make(chan client.ShellEnd, 1), there: make(chan struct{}), muted: make(chan struct{}),
		size: deploy.TerminalSize{Rows: 24, Columns: 80},
	}
	e.mute = sync.OnceFunc(func() { close(e.muted) })
	e.output = printer{errand: e, wrap: func(piece []byte) client.ShellMessage { return client.ShellMessage{Data: piece} }}
	e.errors = printer{errand: e, wrap: func(piece []byte) client.ShellMessage { return client.ShellMessage{Errors: piece} }}
	e.alone = time.AfterFunc(p.keeper.alonePatience(), func() {
		e.stop(errErrandAlone)
		e.mute()
	})
	return e
}

// run waits for the person, and runs the command to its end. What it prints is masked.
func (e *errand) run(ctx context.Context, epoch towpath.Epoch) (deploy.ErrandEnd, error) {
	defer e.alone.Stop()
	defer e.input.close()
	select {
	case <-e.there:
	case <-ctx.Done():
		return deploy.ErrandEnd{}, context.Cause(ctx)
	}
	within := seconds(e.order.Within)
	limited, cancel := context.WithTimeoutCause(ctx, within, errErrandLate)
	defer cancel()
	defer context.AfterFunc(limited, func() { time.AfterFunc(2*deploy.ErrandGrace, e.mute) })()
	seen, err := e.performer.sighted(limited)
	if err != nil {
		return deploy.ErrandEnd{}, err
	}
	e.masker = seen.masker
	order, err := e.errandOf(seen, epoch, within)
	if err != nil {
		return deploy.ErrandEnd{}, err
	}
	output, errs := e.masker.Writer(&e.output), e.masker.Writer(&e.errors)
	order.Stdout, order.Stderr = output, errs
	ended, err := deploy.Exec(limited, seen.target, order)
	flushed := errors.Join(output.Flush(), errs.Flush())
	if cause := context.Cause(limited); cause == errErrandLate { //nolint:errorlint // it is never wrapped
		e.stop(cause)
	}
	return ended, errors.Join(err, flushed)
}

// errandOf adds what the target needs to know.
func (e *errand) errandOf(seen sight, epoch towpath.Epoch, within time.Duration) (deploy.Errand, error) {
	n := slices.IndexFunc(seen.facts.Observed.Instances, func(i towpath.Instance) bool { return i.ID == e.order.Instance })
	if n < 0 {
		return deploy.Errand{}, &deploy.Permanent{Err: fmt.Errorf("%s is not there any more", e.order.Instance)}
	}
	release, err := e.performer.releaseOf(e.order.Release)
	if err != nil {
		return deploy.Errand{}, err
	}
	order := deploy.Errand{
		ID: e.call.ID, Epoch: epoch, Release: release, Instance: seen.facts.Observed.Instances[n], Command: e.order.Command,
		Within: within, Stdin: e.input, Resize: e.sizes,
	}
	if e.order.Terminal {
		e.mutex.Lock()
		defer e.mutex.Unlock()
		size := e.size
		order.Terminal = &size
	}
	return order, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// outcome says how it ended, for people.
func (e *errand) outcome(ctx context.Context, ended deploy.ErrandEnd, err error) string {
	var unknown *deploy.UnknownOutcome
	said := fmt.Sprintf("exited with status %d", ended.ExitCode)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errErrandStopped):
		said = "was ended by " + e.order.By
	case errors.Is(cause, errErrandAlone):
		said = "was ended because its person was gone for " + e.performer.keeper.alonePatience().String()
	case errors.Is(cause, errErrandLate):
		said = "was ended because its time was over: " + seconds(e.order.Within).String()
	case errors.Is(cause, errErrandInput):
		said = "was ended because some of its input was lost with a connection"
	case cause != nil:
		said = "was ended because its keeper ended"
	case errors.As(err, &unknown):
		said = "ended, and nobody knows how: " + unknown.Err.Error()
	case err != nil:
		said = "was not begun: " + err.Error()
	}
	if ended.Left != "" {
		said += "; " + ended.Left
	}
	return e.masker.Mask(said)
}

// talk speaks with the server, until the last word is said or ctx ends.
func (e *errand) talk(ctx context.Context) {
	defer e.mute()
	client.ShellTalk{
		Dial: func(ctx context.Context) (*client.ShellStream, error) {
			return e.performer.keeper.options.Client.ServeErrand(ctx, e.call)
		},
		Next: e.next, Hear: e.hear, Away: func() { e.attached(false) },
	}.Run(ctx)
}

// next is what is to be said next; nil when ctx ends first. How the command ended comes behind all that it printed.
func (e *errand) next(ctx context.Context) *client.ShellMessage {
	select {
	case m := <-e.printed:
		return &m
	case <-e.input.read:
		return &client.ShellMessage{Taken: e.input.taken()}
	case end := <-e.ended:
		return &client.ShellMessage{Ended: &end}
	case <-ctx.Done():
		return nil
	}
}

// hear does what the person wants.
func (e *errand) hear(m client.ShellMessage) {
	switch {
	case m.Attached != nil:
		e.attached(*m.Attached)
	case m.Size != nil:
		e.resize(deploy.TerminalSize{Rows: int(m.Size.Rows), Columns: int(m.Size.Columns)})
	case m.Stop:
		e.stop(errErrandStopped)
	case m.EndsInput != nil:
		if !e.input.end(*m.EndsInput) {
			e.stop(errErrandInput)
		}
	case m.Data != nil:
		if !e.input.add(m.Data) {
			e.stop(errErrandInput)
		}
	}
}

// attached notes whether the person is there.
func (e *errand) attached(isThere bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.alone.Stop()
	switch {
	case !isThere:
		e.alone.Reset(e.performer.keeper.alonePatience())
	case !e.isSeen:
		e.isSeen = true
		close(e.there)
	}
}

// resize keeps the last size where nobody has taken the one before.
func (e *errand) resize(size deploy.TerminalSize) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.size = size
	select {
	case <-e.sizes:
	default:
	}
	e.sizes <- size
}

// printer hands on what a command prints, as fast as its person takes it, and counts it.
type printer struct {
	errand *errand
	wrap   func([]byte) client.ShellMessage
	sent   int64
}

// Write takes everything, also where nobody listens any more.
func (p *printer) Write(text []byte) (int, error) {
	for piece := range slices.Chunk(text, errandPiece) {
		select {
		case p.errand.printed <- p.wrap(slices.Clone(piece)):
			p.sent += int64(len(piece))
		case <-p.errand.muted:
		}
	}
	return len(text), nil
}
