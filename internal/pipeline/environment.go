package pipeline

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/towpath-cd/towpath"
)

// defaultStop is how long a process may take to end once it is asked to.
const defaultStop = 10 * time.Second

func (b *builder) environments(t *value) {
	if len(t.keys()) > maxEnvironments {
		b.unfit(t.key, fmt.Sprintf("%d environments; a pipeline has at most %d", len(t.keys()), maxEnvironments), "make several pipelines of it")
		return
	}
	for _, name := range t.keys() {
		if v := t.get(name); v != nil {
			b.out.Environments = append(b.out.Environments, b.environment(name, v))
		}
	}
}

func (b *builder) environment(name string, v *value) towpath.EnvironmentDefinition {
	e := towpath.EnvironmentDefinition{
		Name: name, Line: v.key.line,
		URL:       v.get("url").string(),
		Platform:  v.get("platform").string(),
		Worker:    selector(v.get("worker")),
		Branches:  v.get("branches").texts(),
		Env:       v.get("env").table(),
		Instances: v.get("instances").int(),
		Target:    target(v.get("target")),
		Balancer:  b.balancer(name, v),
		Health:    b.health(name, v.get("health")),
		Drain:     drain(v.get("drain")),
	}
	if e.Instances == 0 { // not said, or what stands there is refused
		e.Instances = 1
		if e.Target.Hosts != nil {
			e.Instances = max(1, len(e.Target.Hosts.Hosts))
		}
	}
	b.setStop(name, &e, v)
	b.processes(&e, v)
	b.outliveTTL(&e, v)
	e.Strategy = b.strategy(e, v)
	e.Minimum = b.minimum(name, e, v)
	e.Secrets, _ = b.secrets(v)
	b.checkSlots(e, v)
	b.checkHosts(e, v)
	b.checkStrategy(e, v)
	e.Watch = b.watch(e, v)
	e.Assets = b.assets(e, v)
	b.checkState(e, v)
	if v.get("drift").string() == string(towpath.DriftMend) {
		e.Drift = towpath.DriftMend
	}
	e.Windows = b.windows(e, v)
	hooks := v.get("hooks")
	e.Hooks = towpath.HooksDefinition{
		Before: hooks.get("before").string(), After: hooks.get("after").string(), Failed: hooks.get("failed").string(),
	}
	return e
}

func target(v *value) towpath.TargetDefinition {
	process := v.get("process")
	if process == nil {
		return towpath.TargetDefinition{Hosts: hosts(v.get("hosts"))}
	}
	return towpath.TargetDefinition{Process: &towpath.ProcessTarget{
		Command: process.get("command").string(),
		Port:    process.get("port").int(),
		Stop:    towpath.StopDefinition{Signal: process.get("stop", "signal").string(), Within: defaultStop},
	}}
}

// setStop takes the time to stop from the process or from `drain`, which says the same.
func (b *builder) setStop(name string, e *towpath.EnvironmentDefinition, v *value) {
	process := e.Target.Process
	if process == nil {
		return
	}
	stop, drain := v.get("target", "process", "stop"), v.get("drain")
	own := stop.has("within")
	switch {
	case own && drain.has("stop") && stop.get("within").length != drain.get("stop").length:
		b.unfit(drain.get("stop").at, name+" says twice how long its process may take to stop", "keep drain: {stop: …}")
	case own:
		process.Stop.Within = stop.get("within").length
	case drain.has("stop"):
		process.Stop.Within = drain.get("stop").length
	case !drain.isMapping() && drain != nil:
		process.Stop.Within = drain.length
	}
}

// watch is empty where nothing is watched. What is watched has to be counted by somebody.
func (b *builder) watch(e towpath.EnvironmentDefinition, v *value) towpath.WatchDefinition {
	watch := v.get("watch")
	if !v.has("watch") {
		return towpath.WatchDefinition{}
	}
	b.checkWatch(e, v, watch)
	errors, _ := parsePercent(watch.get("errors").string()) // its format was checked
	return towpath.WatchDefinition{
		For: watch.get("for").duration(), Errors: errors, P99: watch.get("p99").duration(), Minimum: watch.get("minimum").int(),
		Queries: b.queries(e.Name, watch), Command: watch.get("command").string(), Probe: watch.get("probe").string(),
	}
}

// checkWatch refuses what the balancer does not count.
func (b *builder) checkWatch(e towpath.EnvironmentDefinition, v, watch *value) {
	balancer := v.get("balancer")
	can := e.Balancer.Can()
	switch isChosen := balancer != nil && balancer.variant != string(towpath.BalancerNone); {
	case !isChosen:
		b.unfit(watch.key, e.Name+" cannot watch its releases: no balancer counts their requests",
			"add balancer: {proxy: {host: …}}, or take watch out")
	case e.Balancer.Kind() == towpath.BalancerNone: // told already
	case !can.Errors && !watch.has("query") && !watch.has("command"):
		b.unfit(watch.key, fmt.Sprintf("%s cannot watch its releases: balancer %s does not count what they answer", e.Name, balancer.variant),
			"use balancer: {proxy: {host: …}} or haproxy, watch by a query or a command, or take watch out")
	case watch.has("p99") && !can.Latency:
		b.unfit(watch.get("p99").at, fmt.Sprintf("%s cannot be held to p99: balancer %s counts answers, and not how long each took", e.Name, balancer.variant),
			"use balancer: {proxy: {host: …}}, or watch errors alone; a query may ask for times")
	}
}

func drain(v *value) towpath.DrainDefinition {
	if !v.isMapping() {
		return towpath.DrainDefinition{Requests: v.duration(), Streams: v.duration()}
	}
	return towpath.DrainDefinition{Requests: v.get("requests").duration(), Streams: v.get("streams").duration()}
}

// defaultCaddyAdmin is where a Caddy takes orders that was not told otherwise.
const defaultCaddyAdmin = "http://localhost:2019"

func (b *builder) balancer(name string, v *value) towpath.BalancerDefinition {
	chosen := v.get("balancer")
	if haproxy := chosen.get("haproxy"); haproxy != nil {
		return towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{
			Sockets: haproxy.get("socket").texts(), Backend: haproxy.get("backend").string(),
		}}
	}
	if nginx := chosen.get("nginx"); nginx != nil {
		return towpath.BalancerDefinition{Nginx: b.nginx(name, nginx, v)}
	}
	if command := chosen.get("command"); command != nil {
		return towpath.BalancerDefinition{Command: commandBalancer(command)}
	}
	if caddy := chosen.get("caddy"); caddy != nil {
		return towpath.BalancerDefinition{Caddy: &towpath.CaddyBalancer{
			Admin: cmp.Or(caddy.get("admin").string(), defaultCaddyAdmin), ID: caddy.get("id").string(),
		}}
	}
	if dns := chosen.get("dns"); dns != nil {
		return towpath.BalancerDefinition{DNS: &towpath.DNSBalancer{
			Server: dns.get("server").string(), Zone: dns.get("zone").string(), Name: dns.get("name").string(),
			TTL: dns.get("ttl").duration(), Key: dns.get("key").string(),
		}}
	}
	proxy := chosen.get("proxy")
	if proxy == nil {
		return towpath.BalancerDefinition{}
	}
	p := &towpath.ProxyBalancer{Host: proxy.get("host").string(), Listen: proxy.get("listen").string()}
	if p.Host == "" && !proxy.misread("host") {
		p.Host = hostOf(v.get("url").string())
	}
	if p.Host == "" && p.Listen != "" {
		p.Host = "*"
	}
	if p.Host == "" && !proxy.misread("host") && !v.misread("url") {
		b.unfit(chosen.at, name+" does not say which requests its proxy answers",
			`give it a url, or balancer: {proxy: {host: shop.example.com}}; "*" is every host`)
	}
	b.elsewhere(name, p, proxy, v)
	return towpath.BalancerDefinition{Proxy: p}
}

// elsewhere takes what is said of a proxy on another machine. It reaches no instance that listens on the keeper's own
// address only.
func (b *builder) elsewhere(name string, p *towpath.ProxyBalancer, proxy, environment *value) {
	p.At, p.Key = proxy.get("at").string(), proxy.get("key").string()
	host, _, _ := net.SplitHostPort(p.At) // its format was checked
	switch {
	case p.At == "" && p.Key != "" && !proxy.misread("at"):
		b.unfit(proxy.get("key").key, name+" has the key of a proxy, and does not say where that is", "add at: host:port, or take key out")
	case p.At != "" && p.Key == "" && !proxy.misread("key"):
		b.unfit(proxy.get("at").key, name+" does not say by which key its proxy takes orders",
			"run `towpath proxy key` there, keep it as a secret, and name that: key: PROXY_KEY")
	case p.At != "" && environment.get("target", "process") != nil && !isLoopback(host):
		b.unfit(proxy.get("at").key, fmt.Sprintf("the proxy on %s does not reach %s: a process listens on the keeper's machine only", host, name),
			"use the proxy on the keeper's machine, or target: hosts")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// health is the probe; where none is chosen, the port has to accept.
func (b *builder) health(name string, v *value) towpath.HealthDefinition {
	h := towpath.HealthDefinition{
		HTTP: v.get("http").string(), TCP: v.get("tcp").bool(), Command: v.get("command").string(),
		Within: v.get("within").duration(), Interval: v.get("interval").duration(), Timeout: v.get("timeout").duration(),
		Rises: v.get("rises").int(), Release: v.get("release").string(),
	}
	var chosen []string
	for _, probe := range []string{"http", "tcp", "command"} {
		if f := v.get(probe); v.has(probe) && (f.text != "" || f.flag) {
			chosen = append(chosen, probe)
		}
	}
	switch {
	case len(chosen) > 1:
		b.unfit(v.get(chosen[1]).key, fmt.Sprintf("the health of %s is probed in one way, and here are %s", name, joinAnd(chosen)), "keep one of them")
	case len(chosen) == 0 && !v.misread("http") && !v.misread("command"):
		h.TCP = true
	}
	return h
}
