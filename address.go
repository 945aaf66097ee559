package towpath

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// Addresses lists the hosts that the definition has Towpath speak to, each once, as the pipeline file names them: those of the target,
// and where balancers take orders. What is on the keeper's machine without an address, such as a process or a socket, is none; what
// scripts of the definition reach is not known.
func (d EnvironmentDefinition) Addresses() []string {
	var found []string
	for _, host := range slices.Concat(d.Target.addresses(), d.Balancer.addresses()) {
		if !slices.Contains(found, host) {
			found = append(found, host)
		}
	}
	return found
}

func (t TargetDefinition) addresses() []string {
	if t.Hosts == nil {
		return nil
	}
	return namesOf(t.Hosts.Hosts)
}

func (b BalancerDefinition) addresses() (found []string) {
	switch b.Kind() {
	case BalancerProxy:
		if b.Proxy.At != "" {
			found = append(found, hostOf(b.Proxy.At))
		}
	case BalancerHAProxy:
		for _, socket := range b.HAProxy.Sockets {
			if at, is := strings.CutPrefix(socket, "tcp://"); is {
				found = append(found, hostOf(at))
			}
		}
	case BalancerNginx:
		found = namesOf(b.Nginx.Hosts)
	case BalancerCaddy:
		if at, err := url.Parse(b.Caddy.Admin); err != nil || at.Scheme != "unix" {
			found = append(found, hostOfURL(at, b.Caddy.Admin))
		}
	case BalancerDNS:
		found = append(found, hostOf(b.DNS.Server))
	}
	return found
}

func namesOf(hosts []Host) (names []string) {
	for _, host := range hosts {
		names = append(names, hostOf(host.Name))
	}
	return names
}

// hostOf takes the port off an address, and the brackets around one of IPv6. What is neither is answered as it is.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	if inner, is := strings.CutPrefix(address, "["); is {
		return strings.TrimSuffix(inner, "]")
	}
	return address
}

// hostOfURL answers the host that a URL is asked at, and all of a text that is no URL: no policy names it.
func hostOfURL(u *url.URL, text string) string {
	if u == nil || u.Hostname() == "" {
		return text
	}
	return u.Hostname()
}
