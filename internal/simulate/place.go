package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// place is an environment's definition, as the world knows it.
type place struct {
	instances, minimum int
	hosts              int // machines that it runs on, one instance each; 0: on its keeper's, as processes
	slots              int // of each of these
	keep               int // good releases whose files stay on them
	strategy           towpath.StrategyKind
	batch, surge       int
	steps              []step
	balancer           balancing
	standby            time.Duration
	tested, promoted   bool
	hooked             bool
	watched            time.Duration // how long a release has to stand the traffic; 0 is not at all
	requests, streams  time.Duration // drains
	within             time.Duration // of the probe
}

// step is one of a canary's.
type step struct {
	share    int           // in percent
	lasts    time.Duration // 0: until a person says so
	promoted bool
}

// balancing is what a balancer can do, as its page says. The zero value moves nothing.
type balancing struct {
	kind    towpath.BalancerKind
	weights bool          // shares between none and all
	counts  bool          // what is in flight
	streams bool          // these apart from requests
	errors  bool          // what was answered
	fences  bool          // it refuses who has been followed
	checks  bool          // it looks for itself whether who has a share answers
	lasts   time.Duration // how long clients keep what it said
}

const nameLasts = 2 * time.Second

var (
	byNone    = balancing{fences: true} // nothing is ordered of it
	byProxy   = balancing{kind: towpath.BalancerProxy, weights: true, counts: true, streams: true, errors: true, fences: true}
	byHAProxy = balancing{kind: towpath.BalancerHAProxy, weights: true, counts: true, errors: true, checks: true}
	byCaddy   = balancing{kind: towpath.BalancerCaddy, counts: true, fences: true}
	byDNS     = balancing{kind: towpath.BalancerDNS, fences: true, lasts: nameLasts}
)

func (p place) isBalanced() bool { return p.balancer.kind != "" }

// keepsOldSide says that the old release stands beside the new one until that is live.
func (p place) keepsOldSide() bool {
	return p.strategy == towpath.StrategyBlueGreen || p.strategy == towpath.StrategyCanary
}

// isPromoted says that a person has a word in its deployments.
func (p place) isPromoted() bool {
	for _, s := range p.steps {
		if s.promoted {
			return true
		}
	}
	return p.promoted
}

func drawPlace(d dice) place {
	p := place{
		instances: 1 + d.IntN(3), requests: pick(d, time.Second, 3*time.Second), streams: pick(d, 2*time.Second, 8*time.Second),
		within: 6 * time.Second, hooked: d.chance(0.2), balancer: byProxy,
	}
	if d.chance(0.5) {
		p.hosts, p.slots, p.keep = 1+d.IntN(4), 1+d.IntN(2), d.IntN(3)
		p.instances = p.hosts
	}
	if d.chance(0.5) {
		p.balancer = drawBalancing(d, p)
	}
	if p.balancer.errors {
		p.watched = pick(d, 0, 5*time.Second, 12*time.Second)
	}
	p.requests = max(p.requests, 2*p.balancer.lasts)
	p.drawStrategy(d)
	return p
}

func drawBalancing(d dice, p place) balancing {
	if p.hosts > 0 && p.slots == 1 {
		return pick(d, byNone, byHAProxy, byCaddy, byDNS)
	}
	return pick(d, byNone, byHAProxy, byCaddy)
}

// drawStrategy chooses among those that can be had, and a minimum that it keeps.
func (p *place) drawStrategy(d dice) {
	isRoomy, most := p.hosts == 0 || p.slots > 1, 0
	kinds := []towpath.StrategyKind{towpath.StrategyAllAtOnce, towpath.StrategyRolling, towpath.StrategyRolling}
	if isRoomy && p.balancer.weights {
		kinds = append(kinds, towpath.StrategyBlueGreen, towpath.StrategyBlueGreen, towpath.StrategyBlueGreen, towpath.StrategyCanary, towpath.StrategyCanary)
	}
	p.strategy = pick(d, kinds...)
	if p.keepsOldSide() {
		most, p.standby, p.tested = p.instances, pick(d, 0, 4*time.Second, 10*time.Second), d.chance(0.2)
	}
	switch p.strategy {
	case towpath.StrategyBlueGreen:
		p.promoted = d.chance(0.15)
	case towpath.StrategyCanary:
		p.drawSteps(d)
	case towpath.StrategyRolling:
		p.batch = 1 + d.IntN(p.instances)
		if isRoomy {
			p.surge = d.IntN(3)
		}
		most = p.instances - max(0, p.batch-p.surge)
	}
	p.minimum = pick(d, most, d.IntN(most+1))
}

func (p *place) drawSteps(d dice) {
	for n := range 1 + d.IntN(3) {
		s := step{share: 1 + 30*n + d.IntN(30), lasts: pick(d, 2*time.Second, 6*time.Second)}
		if d.chance(0.4) {
			s.lasts, s.promoted = 0, true
		}
		p.steps = append(p.steps, s)
	}
}

// definition is the environment in a pipeline file.
func (p place) definition() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "    "+format+"\n", args...) }
	line("target: {%s}", p.target())
	if p.hosts == 0 {
		line("instances: %d", p.instances)
	}
	line("health: {http: /healthz, within: %s}", p.within)
	if p.isBalanced() {
		line("balancer: {%s}", p.balancer.definition(p))
		line("drain: {requests: %s, streams: %s%s}", p.requests, p.streams, p.stop())
	}
	if p.watched > 0 {
		line("watch: {for: %s, errors: 10%%, minimum: 4}", p.watched)
	}
	if p.hooked {
		line("hooks: {before: ./before.sh, after: ./after.sh, failed: ./failed.sh}")
	}
	line("minimum: %d", p.minimum)
	line("strategy: {%s}", p.order())
	return b.String()
}

func (p place) target() string {
	if p.hosts == 0 {
		return "process: {command: ./shop}"
	}
	var addresses []string
	for n := range p.hosts {
		addresses = append(addresses, boxName(n))
	}
	where := "port: 8000"
	if p.slots > 1 {
		where = "slots: {blue: 8001, green: 8002}, stop: ./stop"
	}
	return fmt.Sprintf("hosts: {addresses: [%s], path: /srv/shop, %s, restart: ./restart, keep: %d}", strings.Join(addresses, ", "), where, p.keep)
}

// stop is of processes only.
func (p place) stop() string {
	if p.hosts > 0 {
		return ""
	}
	return ", stop: 1s"
}

func (b balancing) definition(p place) string {
	switch b.kind {
	case towpath.BalancerHAProxy:
		return "haproxy: {socket: tcp://lb1:9999, backend: shop}"
	case towpath.BalancerCaddy:
		return "caddy: {id: shop}"
	case towpath.BalancerDNS:
		return fmt.Sprintf("dns: {server: ns1, zone: example.com, name: shop.example.com, ttl: %s, key: DNS_KEY}", b.lasts)
	}
	if p.hosts > 0 {
		return `proxy: {host: "*", at: "lb1:9443", key: PROXY_KEY}`
	}
	return `proxy: {host: "*"}`
}

// order is the strategy in a pipeline file.
func (p place) order() string {
	settings := []string{fmt.Sprintf("standby: %s", p.standby)}
	if p.tested {
		settings = append(settings, "test: ./smoke.sh")
	}
	switch p.strategy {
	case towpath.StrategyAllAtOnce:
		return "all-at-once: {}"
	case towpath.StrategyRolling:
		settings = []string{fmt.Sprintf("batch: %d, surge: %d", p.batch, p.surge)}
	case towpath.StrategyCanary:
		var steps []string
		for _, s := range p.steps {
			if s.promoted {
				steps = append(steps, fmt.Sprintf("%d%% until promoted", s.share))
			} else {
				steps = append(steps, fmt.Sprintf("%d%% for %s", s.share, s.lasts))
			}
		}
		settings = append(settings, fmt.Sprintf("steps: [%s]", strings.Join(steps, ", ")))
	case towpath.StrategyBlueGreen:
		if p.promoted {
			settings = append(settings, "until: promoted")
		}
	}
	return fmt.Sprintf("%s: {%s}", p.strategy, strings.Join(settings, ", "))
}
