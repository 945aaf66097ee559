package probe

import (
	"cmp"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// vigilPace is how often instances are probed while nobody looks. It is shorter than a pass is fresh, by more than a try
// takes usually, so that an observation finds a fresh one.
const vigilPace = time.Second

// keepVigil probes what passed its probe last again and again, so that a shift does not have to wait for a probe. What
// does not pass is looked at more often anyway, by its keeper.
func (ps *Probers) keepVigil() {
	tick := time.NewTicker(vigilPace)
	defer tick.Stop()
	for {
		select {
		case <-ps.closing.Done():
			return
		case <-tick.C:
			for _, p := range ps.well() {
				p.Try()
			}
		}
	}
}

// isVigilant says that a definition asks for a vigil: there is traffic to be moved, a try costs next to nothing (a command
// is a process each time), and it may be made that often.
func isVigilant(d towpath.EnvironmentDefinition) bool {
	isCheap := d.Health.HTTP != "" || d.Health.TCP
	return d.Balancer != (towpath.BalancerDefinition{}) && isCheap && d.Health.Command == "" &&
		cmp.Or(d.Health.Interval, defaultInterval) <= vigilPace
}

// well are the probers of instances that pass.
func (ps *Probers) well() []*Prober {
	ps.mutex.Lock()
	defer ps.mutex.Unlock()
	var found []*Prober
	for _, p := range ps.known {
		found = append(found, p)
	}
	return slices.DeleteFunc(found, func(p *Prober) bool { return p.Verdict().Health != towpath.HealthPassing })
}
