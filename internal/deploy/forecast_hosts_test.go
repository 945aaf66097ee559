package deploy_test

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// onHosts lets the shop run on so many hosts, with these slots on each.
func (s *story) onHosts(count int, slots ...string) *story {
	target := &towpath.HostsTarget{Path: "/srv/shop", Port: 8000, Keep: 5}
	for n := range count {
		target.Hosts = append(target.Hosts, towpath.Host{Name: fmt.Sprintf("web%d", n+1)})
	}
	for n, name := range slots {
		target.Port = 0
		target.Slots = append(target.Slots, towpath.HostSlot{Name: name, Port: 8001 + n})
	}
	s.environment.Definition.Target = towpath.TargetDefinition{Hosts: target}
	return s.minimum(count)
}

func (s *story) minimum(count int) *story {
	s.environment.Definition.Instances = max(count, s.environment.Definition.Instances)
	s.environment.Definition.Minimum = count
	return s
}

func (s *story) rolling(batch, surge int) *story {
	s.environment.Definition.Strategy = towpath.StrategyDefinition{Kind: towpath.StrategyRolling, Batch: batch, Surge: surge}
	wanted := max(2, len(s.hosts()))
	return s.minimum(wanted - max(0, batch-surge))
}

func (s *story) unbalanced() *story {
	s.environment.Definition.Balancer = towpath.BalancerDefinition{}
	return s
}

func (s *story) allAtOnceBalanced() *story {
	s.environment.Definition.Strategy = towpath.StrategyDefinition{Kind: towpath.StrategyAllAtOnce}
	return s.minimum(0)
}

func (s *story) hosts() []towpath.Host {
	if s.environment.Definition.Target.Hosts == nil {
		return nil
	}
	return s.environment.Definition.Target.Hosts.Hosts
}

// files leaves a release stopped on each host.
func (s *story) files(r towpath.ReleaseRef) *story {
	s.environment.History = append([]towpath.ReleaseRef{r}, s.environment.History...)
	first := len(s.instances)
	s.places(r)
	for n := range s.instances[first:] {
		i := &s.instances[first+n]
		i.State, i.Health = towpath.InstanceStopped, towpath.HealthUnknown
	}
	return s
}

// away lets a host not answer.
func (s *story) away(host string) *story {
	s.slots = s.environment.Definition.Target.Slots()
	for n := range s.slots {
		if s.slots[n].Host != host {
			continue
		}
		s.slots[n].Problem = "no route to host"
		for i := range s.instances {
			if s.instances[i].Slot == s.slots[n].Name {
				s.instances[i].State, s.instances[i].Health = towpath.InstanceUnknown, towpath.HealthFailing
			}
		}
	}
	return s
}

// inCommon lets releases share what they write, and have each other's assets.
func (s *story) inCommon() *story {
	s.environment.Definition.Assets = "public"
	s.environment.Definition.Target.Hosts.Shared = []string{"log", "config/local.yaml"}
	return s
}

// sized has so many instances from now on.
func (s *story) sized(count int) *story {
	s.count = count
	return s.minimum(0).wanted(count)
}

func (s *story) wanted(count int) *story {
	s.environment.Definition.Instances = count
	return s
}

func (s *story) isBalanced() bool {
	return s.environment.Definition.Balancer.Kind() != towpath.BalancerNone
}

// behindDNS has clients find the shop by a name, whose records live so long now: not at all where there are none.
func (s *story) behindDNS(ttl time.Duration) *story {
	s.environment.Definition.Balancer = towpath.BalancerDefinition{DNS: &towpath.DNSBalancer{
		Server: "ns1", Zone: "example.com", Name: "shop.example.com", TTL: time.Minute, Key: "DNS_KEY",
	}}
	s.environment.Definition.Drain = towpath.DrainDefinition{Requests: 90 * time.Second, Streams: 90 * time.Second}
	if ttl > 0 {
		s.cached = &towpath.Cached{TTL: ttl}
	}
	return s
}

// shortened has some clients keep what lived longer for so long still.
func (s *story) shortened(left time.Duration) *story {
	s.cached.Until = noon.Add(left)
	return s
}
