package walls

import (
	"slices"
	"strings"
)

// root is the room of the nouns.
const root = "the root package"

// room is a folder with what its packages may import of ours. The packages of one room may import each other, and
// a folder the ones above and below it, unless the room is detached.
type room struct {
	name     string   // below the module's root, without "internal/"
	may      []string // names of rooms; a room's folders are part of it unless they are rooms themselves
	detached bool     // one folder a driver: they know the folder above them, and not each other
}

// house is every room.
type house []room

// newHouse is the plan, from the ground up. A new room joins one of the groups, or gets a line of its own.
func newHouse() house {
	var (
		// Tools know git, processes and secrets, and nothing of ours.
		tools  = []string{"backup", "confine", "crontab", "durable", "failpoint", "forge", "git", "load", "process", "secret", "service", "ssh", "steplog"}
		ground = append([]string{root}, tools...)

		// Legs of the server, which keep their state in the store.
		server = []string{"access", "alert", "approval", "queue", "trigger"}

		// Legs that both sides use, so they cannot reach the store.
		shared = []string{"artifact", "deploy", "pipeline", "report"}

		// Drivers are handed in by the wiring; besides the worker, which runs steps, nobody else names one.
		drivers = []string{"balancer", "database", "executor", "target"}

		// Processes of their own, which outlive the server and the worker.
		standalone = []string{"proxy", "supervise"}
	)
	h := house{
		{name: root},
		{name: "client", may: []string{root}}, // whoever uses our client has the nouns, and nothing else of ours
		{name: "walls"},
		{name: "config", may: ground},
		{name: "store", may: ground},
		{name: "forge", may: tools, detached: true}, // a kind a folder, as with drivers

		// The conductors put legs together: on the server flow and web, beside the steps the worker, beside the
		// instances the keeper. The last two reach the server by HTTP only.
		{name: "flow", may: slices.Concat(ground, server, shared, []string{"store"})},
		{name: "web", may: slices.Concat(ground, server, shared, []string{"client", "config", "flow", "store"})},
		{name: "worker", may: slices.Concat(ground, []string{"artifact", "client", "executor", "report"})},
		{name: "keeper", may: slices.Concat(ground, []string{"artifact", "client", "deploy"})},

		// It conducts a whole house, whose world is its own, on a clock that is not ours.
		{name: "simulate", may: slices.Concat(ground, []string{"deploy", "flow", "pipeline", "queue", "store"})},

		// Two drivers speak to a process of ours and share its words.
		{name: "balancer/proxy", may: slices.Concat(ground, []string{"deploy", "proxy"})},
		{name: "target/process", may: slices.Concat(ground, []string{"deploy", "probe", "supervise"})},

		// Benchmarks measure this one by itself.
		{name: "balancer/dns", may: slices.Concat(ground, []string{"deploy"})},

		// What targets have in common, and who else has orders carried out on hosts.
		{name: "probe", may: ground},
		{name: "remote", may: slices.Concat(ground, []string{"deploy"})},
		{name: "balancer/command", may: slices.Concat(ground, []string{"deploy", "remote"})},
		{name: "balancer/nginx", may: slices.Concat(ground, []string{"deploy", "remote"})},
		{name: "target/hosts", may: slices.Concat(ground, []string{"deploy", "probe", "remote"})},

		// cmd → cli → app. The demo is a user of the binary like any other; what it deployed outlives the worker, so
		// that it has to end the supervisors itself.
		{name: "app", may: slices.Concat(ground, server, shared, drivers, standalone, []string{
			"balancer/command", "balancer/dns", "balancer/nginx", "balancer/proxy", "client", "config", "flow", "keeper", "store",
			"target/hosts", "target/process", "web", "worker",
		})},
		{name: "demo", may: slices.Concat(ground, []string{"client", "config", "supervise"})},
		// So is the story in which everything is killed. It sees from outside what the supervisors left running.
		{name: "crash", may: slices.Concat(ground, []string{"client", "supervise"})},
		{name: "cli", may: slices.Concat(ground, standalone, []string{"app", "client", "config", "demo", "pipeline", "simulate"})},
		{name: "cmd", may: []string{"cli"}},

		// Hosts for tests and benchmarks, in the namespaces that the executors' tests have too.
		{name: "executor/executortest/apart"},
		{name: "fleet", may: []string{"executor/executortest/apart"}},

		// Balancers for tests and benchmarks: programs that are not ours.
		{name: "balancer/caddy/caddytest"},
		{name: "balancer/dns/dnstest"},

		// They measure and try the shipped binary, and single rooms, but never the wiring.
		{name: "bench", may: slices.Concat(ground, shared, standalone, []string{"balancer/caddy/caddytest", "balancer/dns", "balancer/dns/dnstest", "client", "config", "crash", "executor/executortest/apart", "fleet", "store", "target/hosts"})},
		{name: "e2e", may: slices.Concat(ground, []string{"client", "config", "crash"})},
	}
	h = h.with(tools, room{may: tools})
	h = h.with(server, room{may: slices.Concat(ground, []string{"store"})})
	h = h.with(shared, room{may: ground})
	h = h.with(drivers, room{may: slices.Concat(ground, []string{"deploy"}), detached: true})
	return h.with(standalone, room{may: ground})
}

// with adds a room of every name, all with the same rights.
func (h house) with(names []string, rights room) house {
	for _, name := range names {
		rights.name = name
		h = append(h, rights)
	}
	return h
}

// roomOf finds the innermost room that a place is in.
func (h house) roomOf(place string) (room, bool) {
	var found room
	for _, r := range h {
		if isWithin(place, r.name) && len(r.name) > len(found.name) {
			found = r
		}
	}
	return found, found.name != ""
}

// listed says for people what a room may import.
func (r room) listed() string {
	if len(r.may) == 0 {
		return "nothing of ours"
	}
	names := slices.Clone(r.may)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
