package haproxy

import (
	"fmt"
	"strings"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// refusals are what HAProxy says where trying again is no use, with what to do about it. The texts are those of versions
// 2.4 to 3.0.
var refusals = []struct{ said, hint string }{
	{"Permission denied", "the socket needs level admin: stats socket … level admin expose-fd listeners"},
	{"No such backend", "name a backend of haproxy.cfg"},
	{"No such proxy", "name a backend of haproxy.cfg"},
	{"does not support dynamic load balancing", "use balance roundrobin or leastconn"},
	{"must use a dynamic load balancing", "use balance roundrobin, leastconn or random, or give the backend a server-template"},
	{"Backend does not support dynamic", "use balance roundrobin or leastconn"},
	{"experimental", "give the backend a server-template, or use HAProxy 2.6 or later"},
	{"does not support being removed", "give the backend a server-template"},
	{"Too many servers", "raise the number of servers in the backend's server-template"},
	{"Unknown command", "HAProxy 2.4 or later is needed"},
}

// explain says of what HAProxy refused whether it is any use to try again, and what to do.
func (d *Driver) explain(s socket, doing, said string) error {
	said = oneLine(said)
	err := fmt.Errorf("HAProxy at %s, backend %s: %s: %s", s.name, d.backend, doing, said)
	for _, r := range refusals {
		if strings.Contains(said, r.said) {
			return &deploy.Permanent{Err: fmt.Errorf("%w (%s)", err, r.hint)}
		}
	}
	return &deploy.Retryable{Err: err}
}

// oneLine leaves out what is empty or only tells of what was done.
func oneLine(said string) string {
	var parts []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, "no need to change") || strings.Contains(line, "by 'stats socket command'") ||
			strings.HasPrefix(line, "New server registered") || strings.HasPrefix(line, "Server deleted") {
			continue
		}
		parts = append(parts, line)
		if len(parts) == 3 { // the rest is a list of all commands
			break
		}
	}
	if len(parts) == 0 {
		return "it took the order, and does not show it"
	}
	return strings.Join(parts, "; ")
}
