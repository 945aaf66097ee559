package pipeline

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// defaultNginxFolder is where Debian's nginx, and most others, look for what they are to include.
const defaultNginxFolder = "/etc/nginx/conf.d"

func nginxShape() *shape {
	return mapping(
		field{key: "upstream", doc: "the upstream's name, as in proxy_pass http://shop", required: true, shape: text(upstreamFormat())},
		field{key: "host", doc: "where nginx runs: lb1, user@lb1 or user@lb1:22, a list for several that take the same traffic; by default the keeper's machine", shape: several(addressFormat())},
		field{key: "user", doc: "login there; by default what the keeper's SSH configuration says", shape: text(loginFormat())},
		field{key: "file", doc: "that has the upstream and nothing else, and is included; by default " + defaultNginxFolder + "/ with the upstream's name and .conf", shape: text(filePathFormat())},
		field{key: "lines", doc: "further directives of the upstream, such as least_conn or keepalive 32", shape: several(directiveFormat())},
		field{key: "options", doc: "parameters of every server, such as max_fails=3 fail_timeout=5s", shape: text(parametersFormat())},
		field{key: "test", doc: "script by which nginx tests its configuration", fallback: "nginx -t", shape: text(nil)},
		field{key: "reload", doc: "script by which nginx takes its configuration", fallback: "nginx -s reload", shape: text(nil)},
		field{key: "pid", doc: "file with the number of its master process", fallback: "/run/nginx.pid", shape: text(filePathFormat())},
		field{key: "log", doc: "file that it tells its errors", fallback: "/var/log/nginx/error.log", shape: text(filePathFormat())},
	)
}

func upstreamFormat() *format {
	return matching("an upstream's name", `^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`, "it is the word after http:// in proxy_pass")
}

// directiveFormat is one directive of nginx, which cannot end its block.
func directiveFormat() *format {
	return matching("a directive of an upstream", `^[a-z_]+( [^\s;{}#"'$]+)*$`, "write it without its semicolon, such as least_conn or keepalive 32")
}

// parametersFormat is what a server may have beside its share.
func parametersFormat() *format {
	const hint = "such as max_fails=3 fail_timeout=5s"
	f := matching("parameters of a server", `^[a-z_]+(=[A-Za-z0-9_.]+)?( [a-z_]+(=[A-Za-z0-9_.]+)?)*$`, hint)
	form := f.check
	f.check = func(s string) (string, string) {
		for p := range strings.FieldsSeq(s) {
			if name, _, _ := strings.Cut(p, "="); slices.Contains([]string{"weight", "down", "backup"}, name) {
				return fmt.Sprintf("%s cannot be set: shares are Towpath's", name), hint
			}
		}
		return form(s)
	}
	return f
}

func filePathFormat() *format {
	return matching("the path of a file", `^/[^\s]*[^\s/]$`, "write it from the root on, without spaces, for example /etc/nginx/conf.d/shop.conf")
}

// nginx fills in what is as everywhere. One on another machine reaches no instance that listens on the keeper's own address.
func (b *builder) nginx(name string, v, environment *value) *towpath.NginxBalancer {
	n := &towpath.NginxBalancer{
		Upstream: v.get("upstream").string(), Lines: v.get("lines").texts(), Options: v.get("options").string(),
		Test: v.get("test").string(), Reload: v.get("reload").string(), PID: v.get("pid").string(), Log: v.get("log").string(),
	}
	n.File = path.Clean(cmp.Or(v.get("file").string(), path.Join(defaultNginxFolder, n.Upstream+".conf")))
	for _, address := range v.get("host").texts() {
		h, err := parseHost(address)
		if err != nil {
			continue // its format was refused
		}
		h.User = cmp.Or(h.User, v.get("user").string())
		if slices.ContainsFunc(n.Hosts, func(other towpath.Host) bool { return other.Name == h.Name }) {
			b.unfit(v.get("host").key, fmt.Sprintf("%s has the host %s twice", name, h.Name), "name each host once")
		}
		if environment.get("target", "process") != nil && !isLoopback(h.Name) {
			b.unfit(v.get("host").key, fmt.Sprintf("nginx on %s does not reach %s: a process listens on the keeper's machine only", h.Name, name),
				"leave host out for the nginx on the keeper's machine, or use target: hosts")
		}
		n.Hosts = append(n.Hosts, h)
	}
	if v.has("user") && !v.has("host") {
		b.unfit(v.get("user").key, name+" has a login for nginx, and no host", "add host, or take user out: on the keeper's machine its own user is asked")
	}
	return n
}

// nginx writes it as a file has it.
func (w *writer) nginx(n *towpath.NginxBalancer) {
	w.put(4, "upstream", n.Upstream)
	var hosts []string
	for _, h := range n.Hosts {
		hosts = append(hosts, addressOf(h))
	}
	w.put(4, "host", hosts)
	w.put(4, "file", n.File)
	w.put(4, "lines", n.Lines)
	w.put(4, "options", n.Options)
	w.put(4, "test", n.Test)
	w.put(4, "reload", n.Reload)
	w.put(4, "pid", n.PID)
	w.put(4, "log", n.Log)
}
