package nginx

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// nobody is the server of an upstream that has no other: nginx takes none without a server.
const nobody = "127.0.0.1:1"

// serverLine is a server of an upstream, with the comment behind it.
var serverLine = regexp.MustCompile(`^\s*server\s+([^\s;]+)\s*([^;#]*);\s*(?:#\s*(\S+))?`)

// member is a server of the upstream.
type member struct {
	address string // as its target has it
	share   int
}

// table is who is in the upstream, by instance. One that was put there by hand has its address for a name.
type table map[string]member

// parse reads a file that we have written, and that people may have changed.
func parse(text string) table {
	t := table{}
	for line := range strings.Lines(text) {
		parts := serverLine.FindStringSubmatch(line)
		if parts == nil || parts[1] == nobody {
			continue
		}
		id := parts[3]
		if release, _ := towpath.ParseInstanceID(id); release == 0 {
			id = parts[1]
		}
		t[id] = member{address: parts[1], share: shareOf(strings.Fields(parts[2]))}
	}
	return t
}

// shareOf reads the parameters of a server. Without a weight it has 1.
func shareOf(parameters []string) int {
	share := 1
	for _, p := range parameters {
		if p == "down" || p == "backup" {
			return 0
		}
		if weight, is := strings.CutPrefix(p, "weight="); is {
			share, _ = strconv.Atoi(weight) // nginx has taken it
		}
	}
	return share
}

// render writes the file.
func (d *Driver) render(t table) string {
	var w strings.Builder
	fmt.Fprintf(&w, "# Written by Towpath for %s. What is changed here by hand is noticed, and set right or told of.\nupstream %s {\n",
		d.environment, d.definition.Upstream)
	for _, line := range d.definition.Lines {
		fmt.Fprintf(&w, "    %s;\n", line)
	}
	for _, id := range slices.SortedFunc(maps.Keys(t), byAge) {
		fmt.Fprintf(&w, "    server %s%s; # %s\n", t[id].address, d.parameters(t[id].share), id)
	}
	if len(t) == 0 {
		fmt.Fprintf(&w, "    server %s down;\n", nobody)
	}
	w.WriteString("}\n")
	return w.String()
}

func (d *Driver) parameters(share int) (all string) {
	if d.definition.Options != "" {
		all = " " + d.definition.Options
	}
	if share == 0 {
		return all + " down"
	}
	return fmt.Sprintf("%s weight=%d", all, share)
}

// byAge puts the older instance first.
func byAge(a, b string) int {
	_, older := towpath.ParseInstanceID(a)
	_, newer := towpath.ParseInstanceID(b)
	return cmp.Or(cmp.Compare(older, newer), cmp.Compare(a, b))
}

// serving are the shares by address.
func (t table) serving() map[string]int {
	shares := make(map[string]int)
	for _, m := range t {
		if m.share > 0 {
			shares[m.address] = m.share
		}
	}
	return shares
}

// shifted answers the table with the shares of a shift. Nobody is forgotten.
func (t table) shifted(o deploy.Shift, instances []towpath.Instance) (table, error) {
	wanted := table{}
	for id, m := range t {
		wanted[id] = member{address: m.address}
	}
	for id, share := range o.Weights {
		m := wanted[id]
		if n := slices.IndexFunc(instances, func(i towpath.Instance) bool { return i.ID == id }); n >= 0 && instances[n].Address != "" {
			m.address = instances[n].Address
		}
		if m.address == "" {
			return nil, &deploy.Permanent{Err: fmt.Errorf("give traffic to %s: it has no address", id)}
		}
		m.share = share
		wanted[id] = m
	}
	wanted.oneEach()
	return wanted, nil
}

// oneEach leaves one member at each address, where an instance has taken another's place: the one with a share, or the newest.
func (t table) oneEach() {
	at := make(map[string]string) // instance by address
	for _, id := range slices.SortedFunc(maps.Keys(t), byAge) {
		other, taken := at[t[id].address]
		if taken && t[other].share > 0 && t[id].share == 0 {
			delete(t, id)
			continue
		}
		if taken {
			delete(t, other)
		}
		at[t[id].address] = id
	}
}

// without answers the table without instances, none of which may have a share.
func (t table) without(ids []string) (table, error) {
	if err := t.idle(ids); err != nil {
		return nil, err
	}
	left := maps.Clone(t)
	for _, id := range ids {
		delete(left, id)
	}
	return left, nil
}

// idle is an error where an instance has a share.
func (t table) idle(ids []string) error {
	for _, id := range ids {
		if t[id].share > 0 {
			return &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
	}
	return nil
}
