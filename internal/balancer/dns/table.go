package dns

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// nobody is a holder without a name, as no word is empty.
const nobody = "~~"

// member is an instance that has or had a share.
type member struct {
	address string     // host:port, as its target says
	ip      netip.Addr // which is in the records while it has a share
	left    time.Time  // when it lost its share; zero if it never had one, or has it
}

// table is what the zone says of a name.
type table struct {
	records []dns.RR // A and AAAA
	notes   []dns.RR // TXT, as they were read
	serving []netip.Addr
	ttl     time.Duration // the longest of the records
	isNoted bool
	epoch   towpath.Epoch
	members map[string]member // by instance
	lowered time.Time         // when the time to live was shortened
	before  time.Duration     // what it was then
}

// read asks for all that the driver goes by.
func (d *Driver) read(ctx context.Context) (table, error) {
	t := table{members: map[string]member{}}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := d.server.ask(ctx, d.name, kind)
		if err != nil {
			return t, err
		}
		t.records = append(t.records, records...)
	}
	notes, err := d.server.ask(ctx, d.notes(), dns.TypeTXT)
	if err != nil {
		return t, err
	}
	t.notes = notes
	for _, r := range t.records {
		t.ttl = max(t.ttl, time.Duration(r.Header().Ttl)*time.Second)
		if ip, ok := ipOf(r); ok {
			t.serving = append(t.serving, ip)
		}
	}
	slices.SortFunc(t.serving, netip.Addr.Compare)
	return t, t.understand()
}

// lastOld is until when clients may have records of before their time to live was shortened; zero where that was never done.
func (t table) lastOld() time.Time {
	if t.lowered.IsZero() {
		return t.lowered
	}
	return t.lowered.Add(t.before)
}

// notes is the name of the TXT record.
func (d *Driver) notes() string { return "_towpath." + d.name }

func ipOf(r dns.RR) (netip.Addr, bool) {
	switch r := r.(type) {
	case *dns.A:
		ip, ok := netip.AddrFromSlice(r.A)
		return ip.Unmap(), ok
	case *dns.AAAA:
		return netip.AddrFromSlice(r.AAAA)
	}
	return netip.Addr{}, false
}

// understand reads the notes, a line a string of the record.
func (t *table) understand() error {
	for _, r := range t.notes {
		for _, line := range r.(*dns.TXT).Txt {
			if err := t.note(line); err != nil {
				return &deploy.Permanent{Err: fmt.Errorf("read the TXT record %s: %q: %w (remove it, and it is written anew)", r.Header().Name, line, err)}
			}
		}
	}
	t.isNoted = len(t.notes) > 0
	return nil
}

// note reads one line. All words are without spaces.
func (t *table) note(line string) error {
	var kind, id, ip string
	var m member
	var at, seconds int64
	var err error
	kind, _, _ = strings.Cut(line, " ")
	switch kind {
	case "epoch":
		if _, err = fmt.Sscanf(line, "epoch %d %s", &t.epoch.Number, &id); err == nil {
			t.epoch.Holder, err = url.QueryUnescape(strings.TrimPrefix(id, nobody))
		}
	case "lowered":
		_, err = fmt.Sscanf(line, "lowered %d %d", &at, &seconds)
		t.lowered, t.before = time.Unix(at, 0), time.Duration(seconds)*time.Second
	case "member":
		if _, err = fmt.Sscanf(line, "member %s %s %s %d", &id, &m.address, &ip, &at); err == nil {
			m.ip, err = netip.ParseAddr(ip)
		}
		if at > 0 {
			m.left = time.Unix(at, 0)
		}
		t.members[id] = m
	}
	return err
}

// lines are the notes as a TXT record has them.
func (t *table) lines() []string {
	lines := []string{fmt.Sprintf("epoch %d %s", t.epoch.Number, cmp.Or(url.QueryEscape(t.epoch.Holder), nobody))}
	if !t.lowered.IsZero() {
		lines = append(lines, fmt.Sprintf("lowered %d %d", t.lowered.Unix(), int64(t.before/time.Second)))
	}
	for _, id := range slices.Sorted(maps.Keys(t.members)) {
		m, left := t.members[id], int64(0)
		if !m.left.IsZero() {
			left = m.left.Unix()
		}
		lines = append(lines, fmt.Sprintf("member %s %s %s %d", id, m.address, m.ip, left))
	}
	return lines
}

// everybody are the members, and whoever else has a share: such a one has its address for a name.
func (d *Driver) everybody(t table) map[string]member {
	all := maps.Clone(t.members)
	for _, ip := range t.serving {
		if !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(m member) bool { return m.ip == ip }) {
			address := cmp.Or(d.addressAt(ip), ip.String())
			all[address] = member{address: address, ip: ip}
		}
	}
	return all
}

// change is the update that makes of what was read what is wanted.
func (d *Driver) change(was, wanted table) *dns.Msg {
	update := new(dns.Msg).SetUpdate(d.server.zone)
	requires(update, d.name, dns.TypeA, was.records)
	requires(update, d.name, dns.TypeAAAA, was.records)
	requires(update, d.notes(), dns.TypeTXT, was.notes)
	notes := &dns.TXT{Hdr: d.header(d.notes(), dns.TypeTXT), Txt: wanted.lines()}
	update.RemoveRRset([]dns.RR{notes, &dns.A{Hdr: d.header(d.name, dns.TypeA)}, &dns.AAAA{Hdr: d.header(d.name, dns.TypeAAAA)}})
	update.Insert([]dns.RR{notes})
	for _, ip := range wanted.serving {
		update.Insert([]dns.RR{d.record(ip)})
	}
	return update
}

// requires holds the update only if the name has just these records of the type (RFC 2136, section 2.4).
func requires(update *dns.Msg, name string, kind uint16, records []dns.RR) {
	var there []dns.RR
	for _, r := range records {
		if r.Header().Rrtype == kind {
			there = append(there, dns.Copy(r))
		}
	}
	if len(there) > 0 {
		update.Used(there)
		return
	}
	update.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET}}})
}

func (d *Driver) header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(d.ttl / time.Second)}
}

func (d *Driver) record(ip netip.Addr) dns.RR {
	if ip.Is4() {
		return &dns.A{Hdr: d.header(d.name, dns.TypeA), A: ip.AsSlice()}
	}
	return &dns.AAAA{Hdr: d.header(d.name, dns.TypeAAAA), AAAA: ip.AsSlice()}
}
