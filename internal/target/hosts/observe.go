package hosts

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/probe"
)

// lookPatience is how long a look waits for a host. It is shorter than a keeper's own, so that hosts that answer are seen
// also while another is silent.
const lookPatience = 5 * time.Second

// Observe looks at all hosts at once, in one round trip each, and probes what runs. A host that does not answer is a problem
// of its slots; what ran there at the last look is unknown, and is probed all the same.
func (d *Driver) Observe(ctx context.Context) (towpath.Observation, error) {
	seen := towpath.Observation{At: time.Now()}
	sights := make([]sight, len(d.machines))
	var looks sync.WaitGroup
	for n, m := range d.machines {
		looks.Go(func() { sights[n] = d.look(ctx, m) })
	}
	looks.Wait()
	for _, s := range sights {
		if s.epoch.Number > seen.Epoch.Number {
			seen.Epoch = s.epoch
		}
		seen.Instances = append(seen.Instances, s.instances...)
		seen.Singles = append(seen.Singles, s.singles...)
	}
	for _, s := range d.slots {
		for n, m := range d.machines {
			if m == s.machine {
				s.Problem, s.Since = sights[n].problem, sights[n].missed
			}
		}
		seen.Slots = append(seen.Slots, s.Slot)
	}
	d.probers.Keep(seen.Instances)
	return seen, nil
}

// sight is what was seen of one host.
type sight struct {
	epoch     towpath.Epoch
	instances []towpath.Instance
	singles   []towpath.Single
	problem   string
	missed    time.Time // since when; zero where that will not end by itself
}

func (d *Driver) look(ctx context.Context, m *machine) sight {
	looking, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	said, err := m.ask(looking, scriptLook, variables{}, nil)
	if err != nil {
		return d.withoutLook(ctx, m, err)
	}
	t := newTable(said)
	d.mends.look(m, t)
	s := sight{epoch: t.epoch, singles: d.singlesOf(m, t)}
	var probes sync.WaitGroup
	s.instances = make([]towpath.Instance, len(t.instances))
	for n, placed := range t.instances {
		probes.Go(func() { s.instances[n] = d.observe(ctx, m, t, placed) })
	}
	probes.Wait()
	m.sees(s.instances, s.singles)
	return s
}

// withoutLook is what is known of a host that does not answer.
func (d *Driver) withoutLook(ctx context.Context, m *machine, err error) sight {
	since := m.misses()
	s := sight{problem: err.Error(), missed: since, instances: slices.Clone(m.lastSeen()), singles: unsure(m.lastSingles())}
	if gradeOf(err) == gradePermanent {
		s.missed = time.Time{}
	}
	var probes sync.WaitGroup
	for n := range s.instances {
		probes.Go(func() { s.instances[n] = d.probeUnseen(ctx, s.instances[n], since) })
	}
	probes.Wait()
	return s
}

// probeUnseen probes what ran at the last look on a host that does not answer now. Of what did not run, or may have been replaced
// since, nothing is known.
func (d *Driver) probeUnseen(ctx context.Context, i towpath.Instance, since time.Time) towpath.Instance {
	wasRunning := i.State == towpath.InstanceRunning
	i.State, i.Health, i.Problem, i.Since = towpath.InstanceUnknown, towpath.HealthUnknown, "its host does not answer", since
	if !wasRunning {
		return i
	}
	prober := d.probers.Of(probe.Subject{Instance: i.ID, Release: i.Release, Address: i.Address})
	prober.Look(ctx, probe.Patience)
	said := prober.Verdict()
	if said.Problem != "" {
		i.Problem += ", and its probe says: " + said.Problem
	}
	if said.Health != towpath.HealthPassing && said.Since.After(since) {
		i.Since = said.Since
	}
	if i.Silent = said.Silent && said.Health == towpath.HealthFailing; !i.Silent {
		i.Health = said.Health
	}
	return i
}

// observe says of one instance what its host has noted, and, where it runs, what the probe does.
func (d *Driver) observe(ctx context.Context, m *machine, t table, p placed) towpath.Instance {
	release, _ := towpath.ParseInstanceID(p.id)
	i := towpath.Instance{ID: p.id, Release: release, Health: towpath.HealthUnknown, Since: t.since(p)}
	for _, s := range d.slots {
		if s.machine == m && s.name == p.slot {
			i.Slot, i.Address = s.Name, s.Address
		}
	}
	var process string
	i.State, i.Problem, process = t.stateOf(p)
	others := t.besides(p.id)
	i.Processes = t.beside(others)
	if left := unended(others); left != "" && i.State == towpath.InstanceStopped {
		i.State, i.Problem = towpath.InstanceFailing, left
	}
	if i.State != towpath.InstanceRunning {
		return i
	}
	prober := d.probers.Of(probe.Subject{Instance: i.ID, Release: release, Address: i.Address, Process: process})
	problem := t.problemBeside(others)
	if problem == "" {
		prober.Look(ctx, probe.Patience)
	} else {
		prober.Note(errors.New(problem))
	}
	said := prober.Verdict()
	i.Health, i.Problem = said.Health, said.Problem
	if said.Health != towpath.HealthPassing {
		i.Since, i.Problem = said.Since, cmp.Or(problem, i.Problem)
	} else if !areSteady(others) {
		i.Health = towpath.HealthUnknown
	}
	return i
}

// table is what a host has noted.
type table struct {
	epoch     towpath.Epoch
	now       int64 // by the host's clock, in seconds
	boot      string
	up        int64 // seconds since the boot, which nobody sets
	instances []placed
	slots     map[string]started
	links     map[string]string // slot → ID
	processes []supervised
}

// placed is an instance whose files are there.
type placed struct {
	id, slot string
	at       int64
	begun    bool // it was started at some time
}

// started is what was done in a slot last.
type started struct {
	how, id, boot string
	at            int64
	up            int64 // seconds from the boot on; 0 where that was not noted
}

func newTable(said []word) table {
	t := table{slots: make(map[string]started), links: make(map[string]string)}
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	for _, w := range said {
		switch w.is {
		case "now":
			t.now, t.boot, t.up = number(w.at(0)), w.at(1), number(w.at(2))
		case "epoch":
			t.epoch.Number, _ = strconv.ParseUint(w.at(0), 10, 64)
			t.epoch.Holder = w.at(1)
		case "instance":
			t.instances = append(t.instances, placed{id: w.at(0), at: number(w.at(1)), slot: w.at(2), begun: w.at(3) != ""})
		case "slot":
			t.slots[w.at(0)] = started{how: w.at(1), id: w.at(2), boot: w.at(3), at: number(w.at(4)), up: number(w.at(5))}
		case "link":
			name := strings.TrimSuffix(w.at(0), "/")
			if name == "" {
				name = "current"
			}
			t.links[name] = path.Base(w.at(1))
		default:
			t.readProcesses(w)
		}
	}
	return t
}

// since is when what an instance does began. Its host's clock may have been set since then: within a boot, what was counted from
// that on says how long ago it was.
func (t table) since(p placed) time.Time {
	s, has := t.slots[p.slot]
	switch {
	case !has || s.id != p.id:
		return t.time(p.at)
	case s.boot == t.boot && s.up > 0:
		return ago(t.up - s.up)
	}
	return t.time(s.at)
}

// time turns one of the host's into ours.
func (t table) time(at int64) time.Time { return ago(t.now - at) }

// ago is so many seconds before now; nothing has happened later than that.
func ago(seconds int64) time.Time {
	return time.Now().Add(-time.Duration(max(seconds, 0)) * time.Second)
}

// stateOf says what an instance does, why it does not, and which process it is. After a reboot what the link leads to has
// come up, whatever was noted before.
func (t table) stateOf(p placed) (state towpath.InstanceState, problem, process string) {
	s, link := t.slots[p.slot], t.links[p.slot]
	if s.boot != t.boot && s.how != "stopped" && s.how != "" {
		s.id, s.how = link, "running"
	}
	switch {
	case s.id != p.id && p.begun, s.id == p.id && s.how == "stopped":
		return towpath.InstanceStopped, "", ""
	case s.id != p.id:
		return towpath.InstancePlaced, "", ""
	case s.how == "starting":
		return towpath.InstanceFailing, "its start was cut off", ""
	case link != p.id:
		return towpath.InstanceFailing, "somebody has the link current lead to " + link, ""
	}
	return towpath.InstanceRunning, "", t.boot + " " + strconv.FormatInt(s.at, 10)
}
