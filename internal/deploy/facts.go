package deploy

import (
	"cmp"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// Facts are all that a plan is made from.
type Facts struct {
	Environment towpath.Environment // recorded; with the traffic of Observed noted in it (TrafficSeen)
	Observed    towpath.Observation // by the target's and the balancer's driver (Merge)
	Now         time.Time           // server's clock, as far as the keeper knows it
}

// TrafficSeen answers the event that records which instances get no new traffic. A keeper applies it to the environment
// after every observation, before it plans: the drain clocks run from it. An instance whose traffic is unknown is not in
// it, so its clock begins anew.
func (f Facts) TrafficSeen() towpath.TrafficObserved {
	seen := towpath.TrafficObserved{
		Epoch: f.Environment.Epoch, LastInstance: f.Observed.LastInstance(), At: f.Now,
	}
	for _, i := range f.Observed.Instances {
		switch {
		case !i.Traffic.Known:
		case i.Traffic.Weight == 0:
			seen.Idle = append(seen.Idle, i.ID)
		case !slices.Contains(seen.Taking, i.Release):
			seen.Taking = append(seen.Taking, i.Release)
		}
	}
	return seen
}

// Merge makes one observation of what the two drivers saw. Without a balancer, pass the zero Observation and ok true.
// An instance whose address the target has lost has the one that the balancer knows. Where the balancer could not be read
// (ok is false), the traffic of every instance is unknown. What only the balancer knows is an instance that is gone,
// unless its slot is on a host that does not answer. A member without an instance's ID is whoever answers at its address.
func Merge(target, balancer towpath.Observation, ok bool) towpath.Observation {
	merged := target
	merged.Instances = make([]towpath.Instance, 0, len(target.Instances))
	known := named(balancer.Instances, target.Instances)
	members := make(map[string]towpath.Instance, len(known))
	for _, i := range known {
		members[i.ID] = i
	}
	for _, i := range target.Instances {
		i.Traffic = towpath.Traffic{Known: ok}
		if m, is := members[i.ID]; ok && is {
			i.Traffic = m.Traffic
			i.Address = cmp.Or(i.Address, m.Address)
			i.Problem = cmp.Or(i.Problem, m.Problem)
			i = checked(i)
		}
		delete(members, i.ID)
		merged.Instances = append(merged.Instances, i)
	}
	for _, m := range known {
		if _, left := members[m.ID]; ok && left {
			merged.Instances = append(merged.Instances, checked(unseen(m, target.Slots)))
		}
	}
	if merged.Epoch.Number < balancer.Epoch.Number {
		merged.Epoch = balancer.Epoch
	}
	merged.Address, merged.Served, merged.Blind = balancer.Address, balancer.Served, !ok
	merged.Misrouted, merged.Renewed = balancer.Misrouted && ok, balancer.Renewed && ok
	if ok {
		merged.Cached = balancer.Cached
	}
	return merged
}

// named gives members that a balancer knows by their address alone the name of who answers there: of several, that of the
// one that runs, or of the newest.
func named(members, instances []towpath.Instance) []towpath.Instance {
	members = slices.Clone(members)
	for n, m := range members {
		if release, _ := towpath.ParseInstanceID(m.ID); release > 0 || m.Address == "" {
			continue
		}
		there := slices.DeleteFunc(slices.Clone(instances), func(i towpath.Instance) bool {
			isMember := slices.ContainsFunc(members, func(m towpath.Instance) bool { return m.ID == i.ID })
			return i.Address != m.Address || isMember
		})
		if len(there) > 0 {
			members[n].ID = slices.MaxFunc(there, byPresence).ID
		}
	}
	return members
}

// byPresence orders instances so that who surely answers at an address comes last.
func byPresence(a, b towpath.Instance) int {
	rank := func(i towpath.Instance) int {
		switch {
		case i.State == towpath.InstanceRunning:
			return 2
		case isStarted(i):
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), byAge(a, b))
}

// unseen is a member of the balancer that the target does not tell of: because it is gone, or because its host does not
// answer.
func unseen(m towpath.Instance, slots []towpath.Slot) towpath.Instance {
	m.State, m.Health, m.Problem = towpath.InstanceGone, towpath.HealthFailing, "the target does not know it"
	m.Release, _ = towpath.ParseInstanceID(m.ID)
	for _, s := range slots {
		if s.Problem != "" && s.Address == m.Address {
			m.State, m.Health, m.Slot, m.Problem = towpath.InstanceUnknown, towpath.HealthUnknown, s.Name, s.Problem
		}
	}
	return m
}

// checked has the balancer's own checks say how an instance is of which its target can say nothing, as long as it takes
// traffic: one that takes none has to be proved by its target.
func checked(i towpath.Instance) towpath.Instance {
	isUnknown := i.State == towpath.InstanceUnknown && i.Health == towpath.HealthUnknown
	if isUnknown && i.Traffic.Weight > 0 && i.Traffic.Checked != "" {
		i.Health = i.Traffic.Checked
	}
	return i
}
