package deploy

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// after answers the facts as they will be when an operation has had its effect: what a forecast is made of.
func (f Facts) after(o Operation) Facts {
	f.Observed.Instances = slices.Clone(f.Observed.Instances)
	switch o := o.(type) {
	case Place:
		f.place(o)
	case Start:
		f.start(o)
	case Probe:
		f.each(o.Instances, func(i *towpath.Instance) {
			i.State, i.Health = towpath.InstanceRunning, towpath.HealthPassing
		})
	case Shift:
		f.shift(o)
	case Drain:
		f.each(o.Instances, func(i *towpath.Instance) { i.Traffic.Requests, i.Traffic.Uncounted = 0, false })
	case EndStreams:
		f.each(o.Instances, func(i *towpath.Instance) { i.Traffic.Streams = 0 })
	case Shorten:
		f.shorten(o)
	case Forget:
		f.each(o.Instances, func(i *towpath.Instance) { i.Traffic = towpath.Traffic{Known: true} })
		f.remove(func(i towpath.Instance) bool { return i.State == towpath.InstanceGone && !i.Traffic.Member })
	case Stop:
		f.stop(o.Instances)
	case StartSingle:
		f.Observed.Singles = append(slices.Clone(f.Observed.Singles), towpath.Single{
			Process: o.Process, Instance: o.Instance, Slot: f.slotOf(o.Instance), State: towpath.InstanceRunning, Since: f.Now,
		})
	case StopSingle:
		f.Observed.Singles = slices.DeleteFunc(slices.Clone(f.Observed.Singles), func(p towpath.Single) bool {
			return p.Process == o.Process && p.Instance == o.Instance
		})
	case Remove:
		f.remove(func(i towpath.Instance) bool { return slices.Contains(o.Instances, i.ID) })
	default:
		f.record(o)
	}
	return f
}

// record lets what an operation of the keeper or a wait leads to be recorded.
func (f *Facts) record(o Operation) {
	switch o := o.(type) {
	case Test:
		f.deployment(func(d *towpath.Deployment) { d.TestedAt = f.Now })
	case RunHook:
		f.deployment(func(d *towpath.Deployment) {
			d.Hooks = append(slices.Clone(d.Hooks), towpath.HookReceipt{Hook: o.Hook, State: towpath.HookPassed})
		})
	case LoseHook:
		f.Environment, _ = f.Environment.Next(towpath.HookLost{
			Epoch: f.Environment.Epoch, Deployment: f.Environment.Deployment.ID, Hook: o.Hook, At: f.Now,
		})
	case BeginWatch:
		f.deployment(func(d *towpath.Deployment) { d.WatchedAt, d.Baseline = f.Now, f.Observed.Served })
	case BeginStep:
		f.deployment(func(d *towpath.Deployment) {
			d.CanaryStep, d.StepAt, d.PromotedBy, d.PromotedAt = o.Step, f.Now, "", time.Time{}
		})
	case Assign:
		f.Environment, _ = f.Environment.Next(towpath.SingleAssigned{
			Epoch: f.Environment.Epoch, Process: o.Process, Instance: o.Instance, Slot: o.Slot, At: f.Now,
		})
	case Hold:
		f.Now = later(f.Now, o.Until)
	case Watch:
		f.Now = later(f.Now, o.Until)
	case AwaitPromotion:
		f.deployment(func(d *towpath.Deployment) { d.PromotedBy, d.PromotedAt = "a person", f.Now })
	case Conclude:
		f.Environment.Queue = nil // what waits behind it is another plan
		d := f.Environment.Deployment
		f.Environment, _ = f.Environment.Next(towpath.GoalReached{
			Epoch: f.Environment.Epoch, Deployment: o.Deployment, Returning: d != nil && d.IsReturning(), Note: o.Note, At: f.Now,
		})
	case StandBy:
		f.Now = later(f.Now, o.Until)
	case Await:
		f.Now = later(f.Now, o.Until)
	}
}

func (f *Facts) place(o Place) {
	for _, id := range o.Instances {
		_, serial := towpath.ParseInstanceID(id)
		f.Environment.LastInstance = max(f.Environment.LastInstance, serial)
		f.Observed.Instances = append(f.Observed.Instances, towpath.Instance{
			ID: id, Release: o.Release, State: towpath.InstancePlaced, Health: towpath.HealthUnknown,
			Slot: o.Slots[id], Traffic: towpath.Traffic{Known: true}, Since: f.Now,
		})
	}
}

// start stops what runs in the slots of those that it starts.
func (f *Facts) start(o Start) {
	var slots, displaced []string
	f.each(o.Instances, func(i *towpath.Instance) { slots = append(slots, i.Slot) })
	for _, i := range f.Observed.Instances {
		if i.Slot != "" && slices.Contains(slots, i.Slot) && isStarted(i) && !slices.Contains(o.Instances, i.ID) {
			displaced = append(displaced, i.ID)
		}
	}
	f.stop(displaced)
	f.each(o.Instances, func(i *towpath.Instance) {
		i.State, i.Health, i.Since = towpath.InstanceRunning, towpath.HealthUnknown, f.Now
	})
}

func (f *Facts) stop(names []string) {
	f.each(names, func(i *towpath.Instance) {
		i.State, i.Health, i.Since = towpath.InstanceStopped, towpath.HealthUnknown, f.Now
	})
}

// shift moves the shares. Where one is taken away, something is expected to be in flight.
func (f *Facts) shift(o Shift) {
	for n := range f.Observed.Instances {
		i := &f.Observed.Instances[n]
		weight, named := o.Weights[i.ID]
		if weight == 0 && (i.Traffic.Weight > 0 || !i.Traffic.Known) {
			i.Traffic.Requests = max(1, i.Traffic.Requests)
		}
		i.Traffic.Known, i.Traffic.Weight = true, weight
		i.Traffic.Member = i.Traffic.Member || named
	}
	f.Observed.Misrouted = false
	f.Environment, _ = f.Environment.Next(f.TrafficSeen())
}

func (f *Facts) each(names []string, change func(*towpath.Instance)) {
	for n := range f.Observed.Instances {
		if slices.Contains(names, f.Observed.Instances[n].ID) {
			change(&f.Observed.Instances[n])
		}
	}
}

func (f *Facts) slotOf(instance string) (slot string) {
	f.each([]string{instance}, func(i *towpath.Instance) { slot = i.Slot })
	return slot
}

func (f *Facts) remove(isRemoved func(towpath.Instance) bool) {
	f.Observed.Instances = slices.DeleteFunc(f.Observed.Instances, isRemoved)
}

func (f *Facts) deployment(change func(*towpath.Deployment)) {
	if f.Environment.Deployment != nil {
		d := *f.Environment.Deployment
		change(&d)
		f.Environment.Deployment = &d
	}
}
