package pipeline

import "time"

func environmentShape() *shape {
	return mapping(
		field{key: "url", doc: "where people find it; by default the address its keeper reports", shape: text(urlFormat())},
		field{key: "platform", doc: "such as linux/amd64; by default the keeper's", shape: text(platformFormat(platformPattern, "a platform"))},
		field{key: "worker", doc: "which workers may keep it", shape: workerShape()},
		field{key: "branches", doc: "globs of branches that may deploy here; by default all that the server allows", shape: several(globFormat())},
		field{key: "env", doc: "variables", shape: variablesShape()},
		field{key: "secrets", doc: "names of secrets that the server grants", shape: several(variableFormat())},
		field{key: "instances", doc: "how many are wanted; by default one a host, or 1", shape: either(number(1, maxInstances), notYet(mapping(
			field{key: "min", doc: "at least", shape: number(1, maxInstances)},
			field{key: "max", doc: "at most", shape: number(1, maxInstances)},
			field{key: "per_instance", doc: "what one can bear", shape: text(nil)},
			field{key: "cooldown", doc: "how long between changes", shape: duration(time.Second, day)},
		)))},
		field{key: "minimum", doc: "how many take traffic at any moment; by default all for blue-green and canary, all but one batch for rolling, 0 for all-at-once", shape: number(0, maxInstances)},
		field{key: "target", doc: "where releases run", required: true, shape: targetShape()},
		field{key: "strategy", doc: "in what order and pace; by default blue-green where the target can make slots and the balancer has weights, else rolling where there is a balancer, else all-at-once", shape: strategyShape()},
		field{key: "balancer", doc: "how traffic moves", fallback: "none", shape: balancerShape()},
		field{key: "health", doc: "what an instance has to answer before it takes traffic; by default its port has to accept", shape: healthShape()},
		field{key: "drain", doc: "how long what is in flight may take; one duration is for all three", shape: either(duration(0, day), mapping(
			field{key: "requests", doc: "requests", fallback: "30s", shape: duration(0, day)},
			field{key: "streams", doc: "upgraded connections and event streams", fallback: "5m", shape: duration(0, day)},
			field{key: "stop", doc: "the process, once it is asked to end", shape: duration(0, day)},
		))},
		field{key: "processes", doc: "what runs beside the web process, by name; web is the web process itself", shape: processesShape()},
		field{key: "assets", doc: "folder in a release whose files the releases beside it have too, so that a page of either finds its scripts", shape: text(assetsFormat())},
		field{key: "watch", doc: "how long, and against what, a new release is watched once it takes traffic", shape: mapping(
			field{key: "for", doc: "how long", required: true, shape: duration(time.Second, day)},
			field{key: "errors", doc: "share of requests that may fail", fallback: "1%", shape: text(percentFormat())},
			field{key: "p99", doc: "what 99 of 100 requests may take at most; by default that is not judged", shape: duration(time.Millisecond, time.Minute)},
			field{key: "query", doc: "a query to Prometheus, or a list of them", shape: either(queryShape(), list(queryShape()))},
			field{key: "command", doc: "script that ends with 0 while the release is well, and with 75 where it cannot say", shape: text(nil)},
			field{key: "probe", doc: "path that the keeper asks ten times a second all the while, so that there is something to judge", shape: text(urlPathFormat())},
			field{key: "minimum", doc: "requests before anything is judged", fallback: "50", shape: number(1, 1<<31-1)},
		)},
		field{key: "hooks", doc: "scripts around a deployment, each run at most once", shape: mapping(
			field{key: "before", doc: "before anything is placed", shape: text(nil)},
			field{key: "after", doc: "when the release serves, before it counts as live", shape: text(nil)},
			field{key: "failed", doc: "when the deployment has gone back", shape: text(nil)},
		)},
		field{key: "drift", doc: "what becomes of traffic that was moved by hand", fallback: "report", shape: words("mend", "report")},
		field{key: "database", doc: "schema changes in phases", later: true, shape: mapping(
			field{key: "url", doc: "of the database", shape: text(nil)},
			field{key: "migrations", doc: "folder", shape: text(keptPathFormat())},
			field{key: "tool", doc: "command", shape: &shape{kind: kindAny}},
			field{key: "backup", doc: "how it is backed up", shape: &shape{kind: kindAny}},
			field{key: "verify", doc: "script", shape: &shape{kind: kindAny}},
		)},
		field{key: "windows", doc: "when deployments may start; a rollback always may", shape: either(windowShape(), list(windowShape()))},
	)
}

func queryShape() *shape {
	limit := either(decimal(), text(numberFormat()))
	return mapping(
		field{key: "prometheus", doc: "its address", required: true, shape: text(urlFormat())},
		field{key: "expr", doc: "PromQL; {{release}}, {{live}} and {{environment}} stand for the new release's number, the live one's, and shop/production", required: true, shape: text(nil)},
		field{key: "at_most", doc: "every value has to be so low", shape: limit},
		field{key: "at_least", doc: "every value has to be so high", shape: limit},
	)
}

func targetShape() *shape {
	return oneOf(
		field{key: "process", bare: true, doc: "each instance is a supervised process on the keeper's machine", shape: mapping(
			field{key: "command", doc: "run in the release's folder; it listens on PORT", shape: text(nil)},
			field{key: "port", doc: "a fixed port; by default a free one is chosen", shape: number(1, 65535)},
			field{key: "stop", doc: "how it is asked to end", shape: stopShape()},
		)},
		field{key: "hosts", doc: "hosts that are reached by SSH", shape: hostsShape()},
		field{key: "terraform", doc: "machines from images", later: true, shape: mapping(
			field{key: "dir", doc: "folder", required: true, shape: text(keptPathFormat())},
			field{key: "image_var", doc: "variable that takes the image", shape: text(nil)},
			field{key: "outputs", doc: "what to read", shape: &shape{kind: kindAny}},
		)},
		field{key: "docker", doc: "containers", later: true, shape: &shape{kind: kindAny}},
		field{key: "kubernetes", doc: "a cluster", later: true, shape: &shape{kind: kindAny}},
	)
}

func stopShape() *shape {
	return mapping(
		field{key: "signal", doc: "which signal asks it", fallback: "TERM", shape: words("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL")},
		field{key: "within", doc: "then it is killed", shape: duration(0, day)},
	)
}

func strategyShape() *shape {
	return oneOf(
		field{key: "all-at-once", bare: true, doc: "stop the old, start the new; there is downtime", shape: mapping()},
		field{key: "blue-green", bare: true, doc: "start the new beside the old, move the traffic, keep the old for a while", shape: mapping(
			field{key: "standby", doc: "how long the old side stays ready", fallback: "1h", shape: duration(0, 30*day)},
			field{key: "test", doc: "script that runs against the idle side before the switch", shape: text(nil)},
			field{key: "until", doc: "promoted: a person says when the traffic moves", shape: words("promoted")},
		)},
		field{key: "rolling", bare: true, doc: "one batch after the other", shape: mapping(
			field{key: "batch", doc: "how many are replaced at once: a number, or a share of all, rounded up", fallback: "1", shape: either(number(1, maxInstances), text(portionFormat()))},
			field{key: "surge", doc: "how many more than are wanted may run meanwhile: a number, or a share of all, rounded up", fallback: "0", shape: either(number(0, maxInstances), text(portionFormat()))},
		)},
		field{key: "canary", doc: "a growing share", shape: mapping(
			field{key: "steps", doc: "such as 5% for 10m or 25% until promoted, growing", required: true, shape: list(text(canaryFormat()))},
			field{key: "sticky", doc: "a visitor stays on the side that answered first", shape: yesNo()},
			field{key: "standby", doc: "how long the old side stays ready after the last step", fallback: "1h", shape: duration(0, 30*day)},
			field{key: "test", doc: "script that runs against the idle side before the first step", shape: text(nil)},
		)},
	)
}

func balancerShape() *shape {
	outside := &shape{kind: kindAny}
	return oneOf(
		field{key: "proxy", bare: true, doc: "Towpath's own proxy, on the keeper's machine or another one", shape: mapping(
			field{key: "host", doc: `of requests, or "*" for every other; by default that of url`, shape: text(hostFormat())},
			field{key: "listen", doc: "host:port to listen on; by default the proxy's own setting", shape: text(listenFormat())},
			field{key: "at", doc: "host:port at which a proxy on another machine takes orders; by default it is the one on the keeper's machine", shape: text(reachFormat())},
			field{key: "key", doc: "the secret that holds the key of the proxy on another machine, as `towpath proxy key` prints it there", shape: text(variableFormat())},
		)},
		field{key: "none", bare: true, doc: "instances are reached at their own address", shape: mapping()},
		field{key: "haproxy", doc: "HAProxy, by its runtime socket", shape: mapping(
			field{key: "socket", doc: "where it takes orders: a path or tcp://host:port; a list for several that take the same traffic", required: true, shape: several(socketFormat())},
			field{key: "backend", doc: "the backend whose servers are the instances, and nothing else", required: true, shape: text(backendFormat())},
		)},
		field{key: "nginx", doc: "nginx, by a file with an upstream and a reload", shape: nginxShape()},
		field{key: "caddy", doc: "Caddy, by its admin API", shape: mapping(
			field{key: "admin", doc: "where it takes orders: http://host:port or unix:///path", fallback: "http://localhost:2019", shape: text(adminFormat())},
			field{key: "id", doc: "the @id of the reverse_proxy handler whose upstreams are the instances", required: true, shape: text(handlerFormat())},
		)},
		field{key: "alb", doc: "Amazon's load balancer", later: true, shape: outside},
		field{key: "gcp", doc: "Google's load balancer", later: true, shape: outside},
		field{key: "dns", doc: "the addresses of a name, by signed updates", shape: mapping(
			field{key: "server", doc: "the zone's primary, which takes updates: a host, or host:port", required: true, shape: text(serverFormat())},
			field{key: "zone", doc: "the zone, such as example.com", required: true, shape: text(domainFormat())},
			field{key: "name", doc: "the name in it that clients ask for, such as shop.example.com", required: true, shape: text(domainFormat())},
			field{key: "ttl", doc: "how long clients may keep an address", fallback: "1m", shape: duration(time.Second, day)},
			field{key: "key", doc: "the secret that holds the key of updates, as algorithm:name:secret", required: true, shape: text(variableFormat())},
		)},
		field{key: "command", doc: "your own scripts, on the keeper's machine", shape: commandShape()},
	)
}

func healthShape() *shape {
	return mapping(
		field{key: "http", doc: "path that answers 2xx or 3xx", shape: text(urlPathFormat())},
		field{key: "tcp", doc: "the port accepts", shape: yesNo()},
		field{key: "command", doc: "script that ends with 0", shape: text(nil)},
		field{key: "within", doc: "then the instance counts as failed", fallback: "60s", shape: duration(time.Second, day)},
		field{key: "interval", doc: "between two tries", fallback: "1s", shape: duration(10*time.Millisecond, time.Hour)},
		field{key: "timeout", doc: "of one try", fallback: "5s", shape: duration(time.Second, time.Hour)},
		field{key: "rises", doc: "how many tries in a row have to pass", fallback: "1", shape: number(1, 100)},
		field{key: "release", doc: "path that answers the number of the release that runs", shape: text(urlPathFormat())},
	)
}
