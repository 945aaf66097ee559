package pipeline

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
)

func hostsShape() *shape {
	script := text(nil)
	return mapping(
		field{key: "addresses", doc: "the hosts: web1, user@web1 or user@web1:22", required: true, shape: several(addressFormat())},
		field{key: "user", doc: "login; by default what the keeper's SSH configuration says", shape: text(loginFormat())},
		field{key: "path", doc: "folder of the environment on every host", required: true, shape: text(folderFormat())},
		field{key: "port", doc: "where the application listens", shape: number(1, 65535)},
		field{key: "slots", doc: "in place of port: several places on each host, by name, with the port of each", shape: table(slotFormat(), number(1, 65535))},
		field{key: "requires", doc: "scripts that have to pass on every host before anything is touched", shape: several(nil)},
		field{key: "prepare", doc: "script that runs among the release's files before it serves", shape: script},
		field{key: "restart", doc: "script that has the application run from the folder that is current", shape: script},
		field{key: "reload", doc: "script that does so without a pause; in place of restart", shape: script},
		field{key: "stop", doc: "script that ends the application", shape: script},
		field{key: "keep", doc: "how many good releases stay, beside the live one and what stands by", fallback: "5", shape: number(0, 1000)},
		field{key: "shared", doc: "paths in a release that are the same in all of them", shape: several(sharedFormat())},
		field{key: "owner", doc: "whose a release's files are: shop or shop:www-data; by default the login's", shape: text(ownerFormat())},
	)
}

// addressFormat is a host as one writes it for ssh.
func addressFormat() *format {
	return &format{what: "a host such as web1 or deploy@web1:22", check: func(s string) (string, string) {
		if _, err := parseHost(s); err != nil {
			return fmt.Sprintf("%q is not a host", clip(s)), "write web1, deploy@web1 or deploy@web1:2222"
		}
		return "", ""
	}}
}

func loginFormat() *format {
	return matching("a login", loginPattern, "logins are made of letters, digits, dots, dashes and underscores")
}

func ownerFormat() *format {
	return matching("an owner such as shop or shop:www-data", `^[A-Za-z_][A-Za-z0-9._-]{0,62}(:[A-Za-z_][A-Za-z0-9._-]{0,62})?$`,
		"write a user, or a user and a group with a colon between them")
}

func slotFormat() *format {
	f := slugFormat("the name of a slot")
	form := f.check
	f.check = func(s string) (string, string) {
		if slices.Contains([]string{"current", "env", "releases", "shared", "tmp"}, s) {
			return fmt.Sprintf("a slot cannot be called %s: that is a name in the folder of every environment", s), "such as blue"
		}
		return form(s)
	}
	return f
}

// folderFormat is a folder that is an environment's own.
func folderFormat() *format {
	return &format{what: "a folder such as /srv/shop", pattern: `^/`, check: func(s string) (string, string) {
		if !path.IsAbs(s) || path.Clean(s) == "/" || strings.ContainsAny(s, "\n\t") {
			return fmt.Sprintf("%q is not a folder on a host", clip(s)), "write it from the root on, for example /srv/shop"
		}
		return "", ""
	}}
}

// sharedFormat is a path in a release.
func sharedFormat() *format {
	f := keptPathFormat()
	form := f.check
	f.check = func(s string) (string, string) {
		if problem, hint := form(s); problem != "" {
			return problem, hint
		}
		if clean := path.Clean(s); clean == "." || clean == "tmp" || strings.ContainsAny(s, "\n\t") {
			return fmt.Sprintf("%q cannot be shared", clip(s)), "name a file or a folder in the release, for example log"
		}
		return "", ""
	}
	return f
}

const (
	loginPattern       = `^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$`
	hostAddressPattern = `^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$`
)

// parseHost reads [user@]host[:port].
func parseHost(s string) (towpath.Host, error) {
	var h towpath.Host
	login, rest, hasLogin := strings.Cut(s, "@")
	if !hasLogin {
		login, rest = "", s
	}
	name, port, err := net.SplitHostPort(rest)
	if err != nil {
		name, port = rest, ""
	}
	h.Name, h.User = name, login
	if port != "" {
		h.SSHPort, err = strconv.Atoi(port)
		if err != nil || h.SSHPort < 1 || h.SSHPort > 65535 {
			return h, fmt.Errorf("%q is not a port", port)
		}
	}
	isIPv6 := strings.HasPrefix(rest, "[") && net.ParseIP(name) != nil
	if hasLogin && !regexp.MustCompile(loginPattern).MatchString(login) || !isIPv6 && !regexp.MustCompile(hostAddressPattern).MatchString(name) {
		return h, fmt.Errorf("%q is not a host", s)
	}
	return h, nil
}

// hosts is empty where there are none.
func hosts(v *value) *towpath.HostsTarget {
	if v == nil {
		return nil
	}
	t := &towpath.HostsTarget{
		Path: path.Clean(v.get("path").string()), Port: v.get("port").int(), Requires: v.get("requires").texts(),
		Prepare: v.get("prepare").string(), Restart: v.get("restart").string(), Reload: v.get("reload").string(),
		Stop: v.get("stop").string(), Keep: v.get("keep").int(),
		Owner: v.get("owner").string(),
	}
	for _, p := range v.get("shared").texts() {
		t.Shared = append(t.Shared, path.Clean(p))
	}
	for _, address := range v.get("addresses").texts() {
		h, err := parseHost(address)
		if err != nil {
			continue // its format was refused
		}
		if h.User == "" {
			h.User = v.get("user").string()
		}
		t.Hosts = append(t.Hosts, h)
	}
	for _, name := range v.get("slots").keys() {
		t.Slots = append(t.Slots, towpath.HostSlot{Name: name, Port: v.get("slots", name).int()})
	}
	return t
}

// checkHosts refuses what does not fit together.
func (b *builder) checkHosts(e towpath.EnvironmentDefinition, v *value) {
	t, written := e.Target.Hosts, v.get("target", "hosts")
	if t == nil {
		return
	}
	named := make(map[string]bool)
	for _, h := range t.Hosts {
		if named[h.Name] {
			b.unfit(written.get("addresses").key, fmt.Sprintf("%s has the host %s twice", e.Name, h.Name), "name each host once; several places on it are slots")
		}
		named[h.Name] = true
	}
	b.checkPorts(e, t, written)
	switch {
	case t.Restart != "" && t.Reload != "":
		b.unfit(written.get("reload").key, e.Name+" is restarted and reloaded", "keep one of them")
	case t.Restart == "" && t.Reload == "" && !written.misread("restart") && !written.misread("reload"):
		b.unfit(written.key, e.Name+" does not say how its application takes a new release", "add restart: systemctl restart …, or reload")
	}
	if len(t.Slots) > 0 && t.Stop == "" && !written.misread("stop") {
		b.unfit(written.get("slots").key, e.Name+" does not say how what stands by is stopped", "add stop: systemctl stop …")
	}
	if e.Instances > len(t.Hosts) && len(t.Hosts) > 0 {
		b.unfit(v.get("instances").at, fmt.Sprintf("%s cannot run %d instances: each of its %d hosts runs one", e.Name, e.Instances, len(t.Hosts)),
			"add hosts, or lower instances")
	}
}

func (b *builder) checkPorts(e towpath.EnvironmentDefinition, t *towpath.HostsTarget, written *value) {
	switch {
	case t.Port != 0 && len(t.Slots) > 0:
		b.unfit(written.get("slots").key, e.Name+" has a port and slots", "keep one of them: each slot has a port of its own")
	case t.Port == 0 && len(t.Slots) == 0 && !written.misread("port") && !written.misread("slots"):
		b.unfit(written.key, e.Name+" does not say where its application listens", "add port: 8000, or slots: {blue: 8001, green: 8002}")
	}
	ports := make(map[int]string)
	for _, s := range t.Slots {
		if other := ports[s.Port]; other != "" {
			b.unfit(written.get("slots", s.Name).at, fmt.Sprintf("slots %s and %s of %s share port %d", other, s.Name, e.Name, s.Port), "give each one a port of its own")
		}
		ports[s.Port] = s.Name
	}
}

// hosts writes the target as a file would have it.
func (w *writer) hosts(t *towpath.HostsTarget) {
	w.open(3, "hosts")
	var addresses []string
	for _, h := range t.Hosts {
		addresses = append(addresses, addressOf(h))
	}
	w.put(4, "addresses", addresses)
	w.put(4, "path", t.Path)
	if t.Port != 0 {
		w.put(4, "port", t.Port)
	}
	if len(t.Slots) > 0 {
		w.open(4, "slots")
		for _, s := range t.Slots {
			w.put(5, s.Name, s.Port)
		}
	}
	w.put(4, "requires", t.Requires)
	w.put(4, "prepare", t.Prepare)
	w.put(4, "restart", t.Restart)
	w.put(4, "reload", t.Reload)
	w.put(4, "stop", t.Stop)
	w.put(4, "keep", t.Keep)
	w.put(4, "shared", t.Shared)
	if t.Owner != "" {
		w.put(4, "owner", t.Owner)
	}
}

func addressOf(h towpath.Host) string {
	address := h.Name
	if h.SSHPort != 0 {
		address = net.JoinHostPort(h.Name, strconv.Itoa(h.SSHPort))
	} else if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	if h.User != "" {
		address = h.User + "@" + address
	}
	return address
}
