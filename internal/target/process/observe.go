package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/probe"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// Observe answers what stands in the environment's folders and what its supervisors and the probe say. All instances
// are probed at once; one that does not answer within probe.Patience is reported as its earlier probes left it.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	placed, err := d.placed()
	if err != nil {
		return seen, fmt.Errorf("observe %s: %w", d.options.Environment, err)
	}
	entries, err := supervise.List(d.home.run)
	if err != nil {
		return seen, fmt.Errorf("observe %s: %w", d.options.Environment, err)
	}
	besides, err := d.besides(&seen.Epoch)
	if err != nil {
		return seen, fmt.Errorf("observe %s: %w", d.options.Environment, err)
	}
	if seen.Singles, err = d.singles(); err != nil {
		return seen, fmt.Errorf("observe %s: %w", d.options.Environment, err)
	}
	var probes sync.WaitGroup
	started := make([]towpath.Instance, len(entries))
	for i, entry := range entries {
		if later := towpath.Epoch(entry.State.Epoch); later.Number > seen.Epoch.Number {
			seen.Epoch = later
		}
		d.mends.look(entry)
		probes.Go(func() { started[i] = d.observe(ctx, entry, besides[entry.Spec.Instance]) })
	}
	probes.Wait()
	d.probers.Keep(started)
	seen.Instances = started
	for _, i := range placed {
		isStarted := func(other towpath.Instance) bool { return other.ID == i.ID }
		if !slices.ContainsFunc(started, isStarted) {
			seen.Instances = append(seen.Instances, i)
		}
	}
	return seen, nil
}

// besides answers what is beside each instance, by its ID, and has what needs it mended. The epoch becomes the highest that
// was seen in the environment.
func (d *Driver) besides(epoch *towpath.Epoch) (map[string][]supervise.Entry, error) {
	seen, err := d.fence.seen()
	if err != nil {
		return nil, err
	}
	*epoch = seen
	entries, err := supervise.List(d.home.beside)
	by := make(map[string][]supervise.Entry)
	for _, e := range entries {
		d.mends.look(e)
		by[e.Spec.Instance] = append(by[e.Spec.Instance], e)
	}
	return by, err
}

// placed answers the instances whose files are there, started or not.
func (d *Driver) placed() ([]towpath.Instance, error) {
	folders, err := os.ReadDir(d.home.files)
	if err != nil {
		return nil, err
	}
	var instances []towpath.Instance
	for _, folder := range folders {
		if strings.HasPrefix(folder.Name(), ".") {
			continue // on its way in or out
		}
		info, err := folder.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		release, _ := towpath.ParseInstanceID(folder.Name())
		instances = append(instances, towpath.Instance{
			ID: folder.Name(), Release: release, State: towpath.InstancePlaced, Health: towpath.HealthUnknown,
			Since: info.ModTime(),
		})
	}
	return instances, nil
}

// observe says of one instance what its supervisors know, and, where its processes run, what the probe does.
func (d *Driver) observe(ctx context.Context, entry supervise.Entry, others []supervise.Entry) towpath.Instance {
	i := towpath.Instance{
		ID: entry.Spec.Instance, Release: entry.Spec.Release, Address: entry.Spec.Address,
		State: stateOf(entry), Health: towpath.HealthUnknown, Since: entry.State.Since,
		Processes: beside(others),
	}
	if i.State == towpath.InstanceStopped && isEnding(others) {
		i.State = towpath.InstanceFailing
	}
	if i.State == towpath.InstanceStopped || entry.Want != supervise.WantRunning {
		return i
	}
	p := d.probers.Of(subject(entry))
	problem := cmp.Or(problemOf(entry), problemBeside(others))
	if problem == "" {
		p.Look(ctx, probe.Patience)
	} else {
		p.Note(errors.New(problem))
	}
	said := p.Verdict()
	i.Health, i.Problem = said.Health, said.Problem
	if said.Health != towpath.HealthPassing {
		i.Since, i.Problem = said.Since, cmp.Or(problem, i.Problem)
	} else if !areSteady(others) {
		i.Health = towpath.HealthUnknown
	}
	return i
}

// subject is an instance as its probes see it.
func subject(e supervise.Entry) probe.Subject {
	s := probe.Subject{Instance: e.Spec.Instance, Release: e.Spec.Release, Address: e.Spec.Address, Dir: e.Spec.Dir}
	if child := e.State.Child; child != (proc.Identity{}) {
		s.Process = fmt.Sprintf("%d since %s", child.PID, child.Start)
	}
	return s
}

// stateOf never says that something has ended while anything of it may run.
func stateOf(e supervise.Entry) towpath.InstanceState {
	switch {
	case e.State.Status == supervise.StatusStopped && e.Want != supervise.WantRunning:
		return towpath.InstanceStopped
	case e.Want != supervise.WantRunning && !e.Supervised && !e.Alive:
		return towpath.InstanceUnknown
	case e.Alive:
		return towpath.InstanceRunning
	case e.State.Status == supervise.StatusStarting && e.State.Failures == 0 && e.State.Reason == "":
		return towpath.InstanceRunning // for all that matters here: its process is about to be there
	}
	return towpath.InstanceFailing
}

// problemOf says why an instance's process does not run; empty where it does.
func problemOf(e supervise.Entry) string {
	switch {
	case e.Alive:
		return ""
	case e.State.Reason != "":
		return e.State.Reason
	case e.State.LastExit != nil:
		return e.State.LastExit.String()
	}
	return "its process does not run yet"
}
