package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

// stopLimit is how long all that the demo started may take to end.
const stopLimit = time.Minute

// Options say how the demo runs.
type Options struct {
	Program string    // path of the binary whose server, worker and proxy are shown
	Out     io.Writer // gets what happens, a line a change
	Live    bool      // Out is a terminal, on which the line of what happens now may be written over
	Keep    bool      // leave everything running
}

// demo is one performance.
type demo struct {
	Options
	screen   screen
	facts    *Facts
	stage    *stage
	receiver *receiver
	shop     *repository

	owner    *client.Client // whoever owns the server's folder
	approver *client.Client
	deployer *client.Client
	load     *load.Load // from part 3 on
}

// part is what is shown under one heading.
type part struct {
	title string
	play  func(context.Context) error
}

func (d *demo) parts() []part {
	return []part{
		{"a server, a worker and a proxy start", d.open},
		{"the first commit goes to production", d.first},
		{"the second commit under load, then back and forth", d.switches},
		{"the third commit fails its test", d.broken},
		{"the fourth commit answers errors under traffic", d.watched},
		{"the server is killed during a deployment", d.serverKilled},
		{"the keeper's worker is killed during a deployment", d.workerKilled},
	}
}

// Run shows everything and answers what was measured. The error names the part that failed, and where the logs are;
// one that comes of an interrupt is the context's. Everything that was started has ended when it returns, unless it is
// to be kept. The folder stays where it is kept, and where something failed.
func Run(ctx context.Context, o Options) (Facts, error) {
	began := time.Now()
	d := &demo{Options: o, screen: screen{out: o.Out, live: o.Live}, facts: &Facts{}}
	err := d.play(ctx)
	d.endLoad()
	if err == nil {
		err = d.judge()
	}
	err = errors.Join(err, d.close(ctx, err))
	d.facts.Seconds = time.Since(began).Seconds()
	return *d.facts, err
}

func (d *demo) play(ctx context.Context) error {
	for n, part := range d.parts() {
		d.screen.heading(n+1, part.title)
		err := part.play(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return d.failure(n+1, part.title, err)
		}
	}
	return nil
}

// judge says what is wrong with the whole where each part went well.
func (d *demo) judge() error {
	err := d.toldOnce()
	if err == nil {
		err = d.facts.Problem()
	}
	if err == nil {
		return nil
	}
	d.screen.failed(err.Error())
	told := towpath.Errorf(towpath.CodeInternal, "%s", err)
	told.Err = err
	return told.WithHint("%s", d.logs())
}

// logs says where more is to be read.
func (d *demo) logs() string { return "the logs of all processes are in " + d.stage.path("logs") }

// failure says which part failed, why, and where more is to be read.
func (d *demo) failure(n int, title string, err error) error {
	reason := err.Error()
	code, hints := towpath.CodeInternal, []string{}
	if known, is := errors.AsType[*towpath.Error](err); is && known.Hint != "" {
		reason = strings.Replace(reason, known.Error(), known.Message, 1) // its hint has a line of its own
		code, hints = known.Code, append(hints, known.Hint)
	}
	d.screen.failed(reason)
	told := towpath.Errorf(code, "part %d failed (%s): %s", n, title, reason)
	told.Err = err
	if d.stage != nil {
		hints = append(hints, d.logs())
	}
	return told.WithHint("%s", strings.Join(hints, "; "))
}

// endLoad takes in what was sent.
func (d *demo) endLoad() {
	if d.load != nil {
		d.facts.take(d.load.Stop())
		d.load = nil
	}
}

// close ends what was started, and removes it where nobody wants to look at it any more.
func (d *demo) close(ctx context.Context, failed error) error {
	if d.stage == nil {
		return nil
	}
	if d.Keep && failed == nil {
		d.facts.Running = d.stage.running()
		return d.receiver.close()
	}
	d.screen.now("stopping everything")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	err := errors.Join(d.stage.stop(ending), d.receiver.close())
	if err != nil {
		return fmt.Errorf("stop everything: %w", err)
	}
	d.screen.done("stopped", "nothing is left running")
	if failed != nil && ctx.Err() == nil {
		return nil
	}
	return os.RemoveAll(d.stage.folder)
}
