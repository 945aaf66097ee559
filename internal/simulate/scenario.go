package simulate

import (
	"fmt"
	"strings"
	"time"
)

// scenario is what a seed draws before its story begins.
type scenario struct {
	trouble  time.Duration // how long things go wrong
	pushes   int
	hosts    int
	place    place // of every environment
	shape    shape
	parallel bool // runs of one branch do not supersede each other
	queued   bool // runs of one branch go one after the other
	retries  int  // how many failures a build or test survives
	faults   faults
}

// shape is what a pipeline is made of besides its build and the deployment to production.
type shape struct{ test, staging, approve, script bool }

// faults says how often each thing goes wrong; most seeds have only some of them, which then happen more often.
type faults struct {
	serverDies  float64 // at each of its commits, before or after it
	serverFails float64 // the disk is full for a while
	between     float64 // something else happens between two commits of a round
	restore     bool    // the server comes back once from an older copy of its database
	lost        float64 // messages, each way
	doubled     float64
	late        float64
	keeperDies  float64 // at each operation, before or after it
	freezes     float64
	double      float64 // a second process is started while the keeper is frozen
	fails       float64 // operations
	outages     float64 // times in which every operation fails; a second
	unknown     float64 // operations whose outcome nobody hears of
	hangs       float64
	blind       float64 // looks at the balancer
	sick        float64 // releases that never become healthy
	rotten      float64 // releases that pass their probe, and answer most requests with an error
	breaks      float64 // instances, a second
	restarts    float64 // machines, a second
	away        float64 // hosts that are dead, or cut off from a keeper; a second
	fills       float64 // disks of hosts, a second
	slows       float64 // hosts that answer late, a second
	straggles   float64 // hosts that come back after all else is well
	workerDies  float64 // a step
	stepFails   float64
	jumps       float64 // clocks, a second
	drift       float64
	unreadable  float64 // the repository
	wrongFile   float64 // pushes
	unheard     float64 // alerts
	unwilling   float64 // people who say no
	restless    float64 // people who cancel, roll back, deploy, freeze; a second
}

func draw(d dice) scenario {
	s := scenario{
		trouble: d.between(15*time.Second, 50*time.Second), pushes: 1 + d.IntN(3), hosts: 1, parallel: d.chance(0.3),
		shape: shape{test: d.chance(0.4), staging: d.chance(0.4), approve: d.chance(0.6), script: d.chance(0.3)},
		place: drawPlace(d), faults: drawFaults(d),
	}
	if d.chance(0.2) {
		s.hosts = mostHosts
	}
	s.queued, s.retries = !s.parallel && d.chance(0.25), pick(d, 0, 0, 1, 2)
	if !s.place.balancer.fences { // its orders end with the lease, which is as good as the clocks are
		s.faults.jumps, s.faults.double, s.faults.restore = 0, 0, false
	}
	return s
}

func drawFaults(d dice) faults {
	often := func(rate float64) float64 {
		if d.chance(0.5) {
			return 0
		}
		return rate * (0.3 + d.Float64())
	}
	return faults{
		serverDies: often(0.02), serverFails: often(0.01), between: often(0.05), restore: d.chance(0.05),
		lost: often(0.04), doubled: often(0.04), late: often(0.1),
		keeperDies: often(0.05), freezes: often(0.03), double: often(0.5),
		fails: often(0.2), outages: often(0.02), unknown: often(0.1), hangs: often(0.03), blind: often(0.1),
		sick: often(0.3), rotten: often(0.4), breaks: often(0.02), restarts: often(0.01),
		away: often(0.03), fills: often(0.01), slows: often(0.02), straggles: often(0.5),
		workerDies: often(0.1), stepFails: often(0.1), jumps: often(0.02), drift: often(0.005),
		unreadable: often(0.2), wrongFile: often(0.15), unheard: often(0.2), unwilling: often(0.3), restless: often(0.06),
	}
}

// environments are those of the scenario's pipeline.
func (s scenario) environments() []string {
	if s.shape.staging {
		return []string{"staging", "production"}
	}
	return []string{"production"}
}

// file is the pipeline file of the scenario.
func (s scenario) file() string {
	var b strings.Builder
	b.WriteString("pipeline: shop\n")
	switch {
	case s.parallel:
		b.WriteString("concurrency: parallel\n")
	case s.queued:
		b.WriteString("concurrency: queue\n")
	}
	fmt.Fprintf(&b, "steps:\n  - build: shop\n    run: make\n    artifacts: dist/\n    retry: %d\n", s.retries)
	if s.shape.test {
		fmt.Fprintf(&b, "  - test: unit\n    run: make test\n    retry: %d\n", s.retries)
	}
	if s.shape.staging {
		b.WriteString("  - deploy: staging\n")
	}
	if s.shape.approve {
		b.WriteString("  - approve: release\n    by: release-managers\n    within: 1m\n")
	}
	b.WriteString("  - deploy: production\n")
	if s.shape.script {
		b.WriteString("  - run: announce\n    script: ./announce.sh\n")
	}
	b.WriteString("environments:\n")
	for _, name := range s.environments() {
		fmt.Fprintf(&b, "  %s:\n%s", name, s.place.definition())
	}
	return b.String()
}
