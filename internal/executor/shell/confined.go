package shell

import (
	"context"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/process"
)

// Confinement says as whom scripts run, and in which world. In one of their own, a script's Dir and Scratch can be written.
type Confinement struct {
	Helper   confine.Helper
	UID, GID int
	Groups   []int
	World    *confine.World // nil: the machine's
	Limits   confine.Limits
	Met      func() confine.Met // which of them were; nil: there are none
}

// Confined answers the way to run scripts so.
func (s Shell) Confined(c Confinement) executor.Executor { return confined{s, c} }

type confined struct {
	shell Shell
	Confinement
}

// Run runs a script as executor.Executor says.
func (c confined) Run(ctx context.Context, script executor.Script) (executor.Result, error) {
	spec, file, err := c.shell.prepare(script)
	if err != nil {
		return executor.NotBegun(err), nil
	}
	start, err := c.Helper.Prepare(&spec, c.order(script, file))
	if err != nil {
		return executor.NotBegun(err), err
	}
	defer func() { _ = start.Close() }()
	ctx, cancel := executor.Limit(ctx, script.Timeout)
	defer cancel()
	running, err := process.Start(ctx, spec)
	if err != nil {
		return failedStart(ctx, script.Timeout, err)
	}
	if script.Started != nil {
		script.Started(running.Group())
	}
	began := start.Began()
	ended, err := running.Wait()
	if began != nil && ctx.Err() == nil {
		return executor.NotBegun(began), err
	}
	result, err := judge(ctx, script.Timeout, ended, err)
	return c.explained(result), err
}

func (c confined) order(script executor.Script, file scriptFile) confine.Order {
	o := confine.Order{
		UID: c.UID, GID: c.GID, Groups: c.Groups, Script: confine.Script{Path: file.path, Text: file.text},
	}
	if c.World != nil {
		world := *c.World
		world.Writable = append(slices.Clone(world.Writable), script.Dir, script.Scratch)
		o.World = &world
	}
	return o
}

// worthTelling is how long a script that timed out was held back at least, for that to be told.
const worthTelling = time.Second

// explained adds the limits that the processes ran into, which is often why they failed, or were too slow.
func (c confined) explained(r executor.Result) executor.Result {
	if c.Met == nil || r.Passed() || r.Outcome != executor.Exited && r.Outcome != executor.TimedOut {
		return r
	}
	met := c.Met()
	if met.Memory {
		r.Reason += "; " + executor.MemoryMet(c.Limits.Memory)
	}
	if met.Processes {
		r.Reason += "; " + executor.ProcessesMet(c.Limits.Processes)
	}
	if r.Outcome == executor.TimedOut && met.Held >= worthTelling {
		r.Reason += "; " + executor.CPUsMet(c.Limits.CPUs, met.Held)
	}
	return r
}
