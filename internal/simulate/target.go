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
	box     *box
	slot    string // empty where the target makes them
	address string
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

// target runs instances.
type target struct {
	site      *site
	boxes     []*box
	instances []*instance // in the order in which they were placed
}

// isStarted says that an instance runs, or will again.
func (i *instance) isStarted() bool {
	return i.state == towpath.InstanceRunning || i.state == towpath.InstanceFailing
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
	fine := i.state == towpath.InstanceRunning && !i.broken && !i.sick && now >= i.started+i.warm && !i.box.isDead()
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
	i.state, i.since = state, i.box.clock.wall()
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
	t.site.world.say(i.box.name, "%s hangs", i.id)
	i.broken = true
	i.since = i.box.clock.wall()
	t.refresh(i)
}

// crash ends an instance without an order. What supervises it starts it again.
func (t *target) crash(i *instance, why string) {
	w := t.site.world
	w.say(i.box.name, "%s crashes %s", i.id, why)
	t.set(i, towpath.InstanceFailing)
	t.site.cut(i)
	w.after(w.dice.between(200*time.Millisecond, 4*time.Second), nil, "", func() {
		if i.state == towpath.InstanceFailing && t.find(i.id) == i {
			t.set(i, towpath.InstanceRunning)
		}
	})
}

// observe is what a driver of the target says. Of a machine that does not answer it tells what it saw there last.
func (t *target) observe(by *performer) towpath.Observation {
	seen := towpath.Observation{At: t.boxes[0].clock.wall()}
	for _, b := range t.boxes {
		instances, problem, since := t.look(b, by)
		if problem == "" && b.fence.highest.Number > seen.Epoch.Number {
			seen.Epoch = b.fence.highest
		}
		seen.Instances = append(seen.Instances, instances...)
		for _, slot := range b.slots {
			seen.Slots = append(seen.Slots, towpath.Slot{Name: slot, Host: b.name, Address: b.address(slot), Problem: problem, Since: since})
		}
	}
	return seen
}

func (i *instance) shown() towpath.Instance {
	shown := towpath.Instance{
		ID: i.id, Release: i.release, State: i.state, Slot: i.slot, Address: i.address, Health: towpath.HealthUnknown, Since: i.since,
	}
	switch {
	case i.fine:
		shown.Health = towpath.HealthPassing
	case i.state == towpath.InstanceFailing:
		shown.Health, shown.Problem = towpath.HealthFailing, "it does not run"
	case i.state == towpath.InstanceRunning && (i.broken || i.sick):
		shown.Health, shown.Problem = towpath.HealthFailing, "GET /healthz answered 500"
	}
	return shown
}

var (
	errNotThere = errors.New("it is not there")
	errUnproved = errors.New("it did not pass its probe in time")
)

// act does an order's part for one instance.
func (t *target) act(o order, id string) error {
	i, b := t.find(id), t.boxFor(o, id)
	if b == nil {
		return t.withoutInstance(o)
	}
	if err := b.reach(o.from); err != nil {
		return err
	}
	if err := b.fence.admit(t.site, b.name, o); err != nil {
		return err
	}
	j := t.site.world.judge
	j.stale(t.site, b.name, o)
	switch operation := o.operation.(type) {
	case deploy.Place:
		return t.place(o, operation, id, b)
	case deploy.Start:
		if i.state != towpath.InstanceRunning {
			t.takeOver(o, i)
		}
	case deploy.Stop:
		j.ends(t.site, o, i)
		t.end(i)
	case deploy.Remove:
		j.ends(t.site, o, i)
		j.removes(t.site, o, i)
		t.end(i)
		t.instances = slices.DeleteFunc(t.instances, func(other *instance) bool { return other == i })
	}
	return nil
}

// boxFor is where an order about an instance goes to; nil where nobody knows it.
func (t *target) boxFor(o order, id string) *box {
	if i := t.find(id); i != nil {
		return i.box
	}
	place, is := o.operation.(deploy.Place)
	if is && len(place.Slots) == 0 {
		return t.boxes[0]
	}
	for _, b := range t.boxes {
		if is && slices.Contains(b.slots, place.Slots[id]) {
			return b
		}
	}
	return nil
}

func (t *target) withoutInstance(o order) error {
	switch o.operation.(type) {
	case deploy.Start, deploy.Place:
		return &deploy.Permanent{Err: errNotThere}
	}
	return nil
}

func (t *target) place(o order, operation deploy.Place, id string, b *box) error {
	w := t.site.world
	switch {
	case t.find(id) != nil:
		return nil
	case w.now < b.full:
		return &deploy.Retryable{Err: errFull}
	}
	release := operation.Release
	i := &instance{
		id: id, release: release, sick: w.judge.isSick(release), rotten: w.judge.isRotten(release),
		box: b, slot: operation.Slots[id], address: b.address(operation.Slots[id]),
	}
	if i.slot == "" {
		i.address = "10.0.0.1:" + id // a port of its own
	}
	for _, a := range o.release.Artifacts {
		i.digests = append(i.digests, a.Digest)
	}
	t.instances = append(t.instances, i)
	t.set(i, towpath.InstancePlaced)
	w.judge.placed(t.site, o, i)
	return nil
}

// takeOver starts an instance, and ends what ran in its slot. It answers that.
func (t *target) takeOver(o order, i *instance) (tenant *instance) {
	for _, other := range t.instances {
		if other != i && i.slot != "" && other.slot == i.slot && other.isStarted() {
			t.site.world.judge.ends(t.site, o, other)
			t.end(other)
			tenant = other
		}
	}
	t.set(i, towpath.InstanceRunning)
	return tenant
}

// end stops an instance by an order: what is in flight there is lost.
func (t *target) end(i *instance) {
	if i.isStarted() {
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
		s.world.say(what, "of %s refuses %s of epoch %s", s.key, o, e)
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
	from      *host               // where the keeper is
	known     towpath.Environment // that it was planned by
	goal      int                 // of the order under which it was planned
	seenAt    time.Duration       // when what it was planned from was seen
}

func (o order) String() string {
	if o.operation == nil {
		return "to be heard"
	}
	return fmt.Sprint(o.operation)
}
