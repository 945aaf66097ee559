package pipeline

import (
	"fmt"
	"strings"

	"github.com/towpath-cd/towpath"
)

// outliveTTL makes the drain clock of requests longer than clients keep an address, and refuses what a name cannot do.
func (b *builder) outliveTTL(e *towpath.EnvironmentDefinition, v *value) {
	dns := e.Balancer.DNS
	if dns == nil {
		return
	}
	chosen := v.get("balancer", "dns")
	if dns.Name != dns.Zone && !strings.HasSuffix(dns.Name, "."+dns.Zone) && !chosen.misread("name") && !chosen.misread("zone") {
		b.unfit(chosen.get("name").at, fmt.Sprintf("%s is not in the zone %s", dns.Name, dns.Zone), "name the zone that the server has it in")
	}
	if e.Target.Process != nil || e.Target.Hosts != nil && len(e.Target.Hosts.Slots) > 0 {
		b.unfit(v.get("balancer").at, e.Name+" runs several instances at one address, and a name knows no ports",
			"use target: hosts with one port each, or balancer: {proxy: {host: …}}")
	}
	said := v.get("drain")
	if said.isMapping() {
		said = said.get("requests")
	}
	switch isSaid := said != nil && said.given; {
	case !isSaid:
		e.Drain.Requests += dns.TTL
	case e.Drain.Requests < dns.TTL:
		b.unfit(said.at, fmt.Sprintf("%s drains for %s, and clients keep an address for %s", e.Name, formatDuration(e.Drain.Requests), formatDuration(dns.TTL)),
			"make drain longer than the ttl, or leave it out: then it is the ttl and half a minute")
	}
}
