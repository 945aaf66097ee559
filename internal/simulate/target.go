package simulate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// instance is one as it really is.
type instance struct {
	id      string
	release int
	digests []string // of the files that it was placed with
	state   towpath.InstanceState
	since   time.Time // by its machine
	started time.Duration
	warm    time.Duration // when it will answer its probe, after its start
	sick    bool          // its release never answers
	rotten  bool          // its release answers most requests with an error
	broken  bool          // it runs, and does not answer any more
	fine    bool          // it answers
	spells  []spell       // in which it did, the last one open while it is fine
	ended   time.Duration // when it last ended by an order
}

// spell is a time in which an instance answered.
type spell struct{ from, to time.Duration }

// target runs instances. It knows the highest epoch that gave an order.
type target struct {
	site      *site
	instances []*instance // in the order in which they were placed
	fence     fence
}

func (t *target) find(id string) *instance {
	for _, i := range t.instances {
		if i.id == id {
			return i
		}
	}
	return nil
}

// refresh finds out whether an instance answers now, and keeps when it did.
func (t *target) refresh(i *instance) {
	now := t.site.world.now
	fine := i.state == towpath.InstanceRunning && !i.broken && !i.sick && now >= i.started+i.warm
	switch {
	case fine && !i.fine:
		i.spells = append(i.spells, spell{from: now})
	case !fine && i.fine:
		i.spells[len(i.spells)-1].to = now
	}
	i.fine = fine
}

// wasFine says whether an instance answered at that time.
func (i *instance) wasFine(at time.Duration) bool {
	return slices.ContainsFunc(i.spells, func(s spell) bool { return s.from <= at && (s.to == 0 || s.to >= at) })
}

func (t *target) set(i *instance, state towpath.InstanceState) {
	i.state, i.since = state, t.site.host.clock.wall()
	if state == towpath.InstanceRunning {
		w := t.site.world
		i.started, i.warm, i.broken = w.now, w.dice.between(50*time.Millisecond, 1500*time.Millisecond), false
		w.after(i.warm, nil, "", func() { t.refresh(i) })
	}
	t.refresh(i)
}

// harm lets an instance crash, or hang.
func (t *target) harm(i *instance) {
	if t.site.world.dice.chance(0.5) {
		t.crash(i, "by itself")
		return
	}
	t.site.world.say(t.site.host.id, "%s hangs", i.id)
	i.broken = true
	i.since = t.site.host.clock.wall()
	t.refresh(i)
}

// crash ends an instance without an order. What supervises it starts it again.
func (t *target) crash(i *instance, why string) {
	w := t.site.world
	w.say(t.site.host.id, "%s crashes %s", i.id, why)
	t.set(i, towpath.InstanceFailing)
	t.site.cut(i)
	w.after(w.dice.between(200*time.Millisecond, 4*time.Second), nil, "", func() {
		if i.state == towpath.InstanceFailing && t.find(i.id) == i {
			t.set(i, towpath.InstanceRunning)
		}
	})
}

// observe is what a driver of the target says.
func (t *target) observe() towpath.Observation {
	seen := towpath.Observation{Epoch: t.fence.highest, At: t.site.host.clock.wall()}
	for _, i := range t.instances {
		shown := towpath.Instance{
			ID: i.id, Release: i.release, State: i.state, Address: "10.0.0.1:80", Health: towpath.HealthUnknown, Since: i.since,
		}
		switch {
		case i.fine:
			shown.Health = towpath.HealthPassing
		case i.state == towpath.InstanceFailing:
			shown.Health, shown.Problem = towpath.HealthFailing, "it does not run"
		case i.state == towpath.InstanceRunning && (i.broken || i.sick):
			shown.Health, shown.Problem = towpath.HealthFailing, "GET /healthz answered 500"
		}
		seen.Instances = append(seen.Instances, shown)
	}
	return seen
}

var (
	errNotThere = errors.New("it is not there")
	errUnproved = errors.New("it did not pass its probe in time")
)

// act does an order's part for one instance.
func (t *target) act(o order, id string) error {
	if err := t.fence.admit(t.site, "target", o); err != nil {
		return err
	}
	t.site.world.judge.acts(t.site, o, id)
	i := t.find(id)
	if place, is := o.operation.(deploy.Place); is {
		if i == nil {
			t.place(o, place.Release, id)
		}
		return nil
	}
	if i == nil {
		return t.withoutInstance(o)
	}
	switch o.operation.(type) {
	case deploy.Start:
		if i.state != towpath.InstanceRunning {
			t.set(i, towpath.InstanceRunning)
		}
	case deploy.Stop:
		t.end(i)
	case deploy.Remove:
		t.end(i)
		t.instances = slices.DeleteFunc(t.instances, func(other *instance) bool { return other == i })
	}
	return nil
}

func (t *target) withoutInstance(o order) error {
	if _, is := o.operation.(deploy.Start); is {
		return &deploy.Permanent{Err: errNotThere}
	}
	return nil
}

func (t *target) place(o order, release int, id string) {
	w := t.site.world
	i := &instance{id: id, release: release, sick: w.judge.isSick(release), rotten: w.judge.isRotten(release)}
	for _, a := range o.release.Artifacts {
		i.digests = append(i.digests, a.Digest)
	}
	t.instances = append(t.instances, i)
	t.set(i, towpath.InstancePlaced)
	w.judge.placed(t.site, o, i)
}

// end stops an instance by an order: what is in flight there is lost.
func (t *target) end(i *instance) {
	if i.state == towpath.InstanceRunning || i.state == towpath.InstanceFailing {
		i.ended = t.site.world.now
		t.set(i, towpath.InstanceStopped)
		t.site.cut(i)
	}
}

// fence refuses orders of keepers whose time is over, as every driver of ours does.
type fence struct{ highest towpath.Epoch }

// admit is written from the sentence of the design: a lower number is refused, and an equal one of another holder.
func (f *fence) admit(s *site, what string, o order) error {
	e := o.epoch
	if e.Number < f.highest.Number || e.Number == f.highest.Number && e.Holder != f.highest.Holder {
		s.world.say(s.host.id, "%s of %s refuses %s of epoch %s", what, s.key, o, e)
		return &deploy.StaleEpoch{Seen: f.highest}
	}
	f.highest = e
	return nil
}

// order is what a keeper tells a driver.
type order struct {
	epoch     towpath.Epoch
	operation deploy.Operation // nil only raises the epoch
	release   towpath.Release
	goal      int           // of the order under which it was planned
	seenAt    time.Duration // when what it was planned from was seen
}

func (o order) String() string {
	if o.operation == nil {
		return "to be heard"
	}
	return fmt.Sprint(o.operation)
}
