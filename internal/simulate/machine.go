package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// host is a machine: its clock, the worker and the keeper on it, and what its keeper's drivers reach.
type host struct {
	world  *world
	id     string
	clock  *clock
	worker *worker
	keeper *keeper
}

// mostHosts is how many machines a world has at most.
const mostHosts = 2

// workerOf is what a machine says of itself.
func workerOf(n int) towpath.Worker {
	id := fmt.Sprintf("w%d", n+1)
	return towpath.Worker{ID: id, Name: id, OS: "linux", Arch: "amd64", Slots: 1}
}

func newHost(w *world, n int) *host {
	who := workerOf(n)
	id := who.ID
	h := &host{world: w, id: id, clock: w.newClock()}
	h.worker = &worker{process: &process{name: "worker " + id, clock: h.clock}, world: w, who: who}
	h.keeper = &keeper{process: &process{name: "keeper " + id, clock: h.clock}, world: w, host: h, who: who}
	return h
}

// newClock is one that goes as wrong as the scenario says.
func (w *world) newClock() *clock {
	return &clock{world: w, drift: w.drawn.faults.drift * (2*w.dice.Float64() - 1)}
}

// right sets a clock to the time. It goes on drifting, as clocks do.
func (c *clock) right() { c.offset = 0 }

// site is an environment: where its instances run, and what gives them traffic. One of processes is as often there as there
// are machines that have kept it.
type site struct {
	world    *world
	machine  *host // whose processes it is; nil where they run on hosts
	key      string
	place    place
	target   *target
	balancer *balancer // nil without one
}

// siteOf answers the environment as a keeper's machine has it.
func (h *host) siteOf(key string) *site {
	w := h.world
	for _, s := range w.sites {
		if s.key == key && (s.machine == h || s.machine == nil) {
			return s
		}
	}
	s := &site{world: w, key: key, place: w.drawn.place}
	s.target = &target{site: s}
	if s.place.hosts > 0 {
		s.target.boxes = w.newHosts(s.place)
	} else {
		s.machine = h
		s.target.boxes = []*box{{world: w, name: h.id, clock: h.clock, cut: map[string]time.Duration{}}}
	}
	if s.place.isBalanced() {
		s.balancer = &balancer{site: s, can: s.place.balancer}
	}
	w.sites = append(w.sites, s)
	s.serve()
	s.trouble()
	return s
}

// mend ends what is wrong with a machine.
func (h *host) mend() {
	h.clock.right()
	h.keeper.frozen, h.worker.frozen = 0, 0
}

// reboot is a machine that starts again: its processes are gone, and come back.
func (h *host) reboot() {
	w := h.world
	w.say(h.id, "starts again")
	if h.worker.up {
		h.worker.fall()
	}
	if h.keeper.up {
		h.keeper.fall("with its machine")
	}
	for _, s := range h.sites() {
		for _, i := range s.target.instances {
			if i.state == towpath.InstanceRunning {
				s.target.crash(i, "its machine started again")
			}
		}
	}
}

// sites are those that run on the machine.
func (h *host) sites() []*site {
	return slices.DeleteFunc(slices.Clone(h.world.sites), func(s *site) bool { return s.machine != h })
}

// trouble is what befalls machines by itself.
func (h *host) trouble() {
	w, f := h.world, h.world.drawn.faults
	w.every(500*time.Millisecond, 1500*time.Millisecond, nil, func() {
		if w.fault(f.restarts) {
			h.reboot()
		}
		if w.fault(f.jumps) {
			h.clock.jump()
		}
		if w.fault(f.outages) {
			until := w.now + w.dice.between(5*time.Second, 60*time.Second)
			w.say(h.id, "does nothing that it is told, until %s", until.Round(time.Second))
			for _, s := range h.sites() {
				s.target.boxes[0].busy = until
			}
		}
	})
}

// jump sets a clock wrong, or right again.
func (c *clock) jump() {
	c.offset = pick(c.world.dice, 0, 24*time.Hour, -24*time.Hour, 3*time.Second, -3*time.Second, time.Minute)
	c.world.say("world", "a clock jumps to %s", c.offset)
}
