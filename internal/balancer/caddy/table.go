package caddy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// object is a part of the configuration, of which what we do not know stays as it is.
type object = map[string]json.RawMessage

// upstream is one of a reverse_proxy. Settings that a person gave one are not ours.
type upstream struct {
	Dial string `json:"dial"`
}

// ledger is what we keep in the configuration: Caddy knows addresses only.
type ledger struct {
	Number  uint64            `json:"epoch"`
	Holder  string            `json:"holder"`
	Members map[string]string `json:"members"` // address by instance
}

// table is the handlers of which one is ours, as they were read.
type table struct {
	path     string   // of the list, in the configuration
	tag      string   // of what was read
	handlers []object // in their order
	proxy    int      // which of them is the reverse_proxy
	keeps    int      // which of them has the ledger; -1 where none has
	serving  []string // addresses of upstreams
	ledger   ledger
}

// keptID is the "@id" of the subroute that has the ledger.
func keptID(id string) string { return id + "-towpath" }

// read finds the handler, and reads the list that it is in.
func (d *Driver) read(ctx context.Context) (table, error) {
	tag, err := d.admin.read(ctx, "/id/"+d.id, nil)
	if _, is := errors.AsType[*deploy.Permanent](err); is {
		return table{}, &deploy.Permanent{Err: fmt.Errorf(
			`find the handler %q: %w (a reverse_proxy of the configuration has to have "@id": %[1]q)`, d.id, err)}
	}
	if err != nil {
		return table{}, err
	}
	where, _, _ := strings.Cut(strings.Trim(tag, `"`), " ") // the tag names the place
	t := table{path: path.Dir(where), keeps: -1, proxy: -1}
	if t.tag, err = d.admin.read(ctx, t.path, &t.handlers); err != nil {
		return table{}, err
	}
	return t, d.understand(&t)
}

// understand finds what is ours in the list.
func (d *Driver) understand(t *table) error {
	for n, h := range t.handlers {
		var id, kind string
		_, _ = json.Unmarshal(h["@id"], &id), json.Unmarshal(h["handler"], &kind) // what is there, if it is
		switch {
		case id == d.id && kind == "reverse_proxy":
			t.proxy = n
		case id == keptID(d.id):
			t.keeps = n
		}
	}
	if t.proxy < 0 {
		return &deploy.Permanent{Err: fmt.Errorf("%q is no reverse_proxy handler of a route", d.id)}
	}
	var upstreams []upstream
	if text := t.handlers[t.proxy]["upstreams"]; text != nil {
		if err := json.Unmarshal(text, &upstreams); err != nil {
			return &deploy.Permanent{Err: fmt.Errorf("read the upstreams of %q: %w", d.id, err)}
		}
	}
	for _, u := range upstreams {
		t.serving = append(t.serving, u.Dial)
	}
	if t.keeps < 0 {
		return nil
	}
	return t.readLedger()
}

// readLedger reads the variable of the subroute's only route.
func (t *table) readLedger() error {
	var routes []struct {
		Handle []struct {
			Towpath *ledger `json:"towpath"`
		} `json:"handle"`
	}
	err := json.Unmarshal(t.handlers[t.keeps]["routes"], &routes)
	if err != nil || len(routes) != 1 || len(routes[0].Handle) == 0 || routes[0].Handle[0].Towpath == nil {
		return &deploy.Permanent{Err: errors.New("the subroute that Towpath keeps its notes in was changed: remove it, and they are written anew")}
	}
	t.ledger = *routes[0].Handle[0].Towpath
	return nil
}

// epoch is the one of the last order.
func (t *table) epoch() towpath.Epoch {
	return towpath.Epoch{Number: t.ledger.Number, Holder: t.ledger.Holder}
}

// serves says that an address is given requests.
func (t *table) serves(address string) bool { return slices.Contains(t.serving, address) }

// members are the instances of the ledger, and those that somebody else gave requests: they have their address for a name.
func (t *table) members() map[string]string {
	members := maps.Clone(t.ledger.Members)
	if members == nil {
		members = map[string]string{}
	}
	known := slices.Collect(maps.Values(members))
	for _, address := range t.serving {
		if !slices.Contains(known, address) {
			members[address] = address
		}
	}
	return members
}

// with is the list in which these addresses serve, all members are known, and the epoch is the order's.
func (d *Driver) with(t table, epoch towpath.Epoch, members map[string]string, serving []string) []object {
	handlers := slices.Clone(t.handlers)
	proxy := maps.Clone(handlers[t.proxy])
	proxy["upstreams"] = mustMarshal(t.upstreams(serving))
	handlers[t.proxy] = proxy
	kept := d.subroute(ledger{Number: epoch.Number, Holder: epoch.Holder, Members: members}, serving)
	if t.keeps < 0 {
		return append([]object{kept}, handlers...)
	}
	handlers[t.keeps] = kept
	return handlers
}

// upstreams are those of addresses. One that is there already keeps its settings.
func (t *table) upstreams(addresses []string) []object {
	var there []object
	_ = json.Unmarshal(t.handlers[t.proxy]["upstreams"], &there) // they were read before
	all := make([]object, 0, len(addresses))
	for _, address := range addresses {
		one := object{"dial": mustMarshal(address)}
		for _, o := range there {
			if string(o["dial"]) == string(one["dial"]) {
				one = o
			}
		}
		all = append(all, one)
	}
	return all
}

// subroute is what we keep: no request comes here.
func (d *Driver) subroute(l ledger, serving []string) object {
	parked := []upstream{}
	for _, id := range slices.Sorted(maps.Keys(l.Members)) {
		if address := l.Members[id]; !slices.Contains(serving, address) {
			parked = append(parked, upstream{address})
		}
	}
	handle := []any{map[string]any{"handler": "vars", "towpath": l}}
	if len(parked) > 0 {
		handle = append(handle, map[string]any{"handler": "reverse_proxy", "upstreams": parked})
	}
	never := []any{map[string]any{"not": []any{map[string]any{"path": []string{"*"}}}}}
	return object{
		"@id": mustMarshal(keptID(d.id)), "handler": mustMarshal("subroute"),
		"routes": mustMarshal([]any{map[string]any{"match": never, "handle": handle}}),
	}
}

// mustMarshal writes what has only strings, numbers and lists in it.
func mustMarshal(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// address is where Caddy takes the requests of the server that a list of handlers belongs to; empty where it does not say.
func (d *Driver) address(ctx context.Context, t table) string {
	const servers = "/config/apps/http/servers/"
	name, _, found := strings.Cut(strings.TrimPrefix(t.path, servers), "/")
	var listen []string
	if _, err := d.admin.read(ctx, servers+name+"/listen", &listen); !found || err != nil || len(listen) == 0 {
		return ""
	}
	host, port, err := net.SplitHostPort(listen[0])
	if err != nil {
		return ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = d.admin.host
	}
	return net.JoinHostPort(host, port)
}
