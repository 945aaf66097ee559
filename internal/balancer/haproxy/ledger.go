package haproxy

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/towpath-cd/towpath"
)

// ledger counts what releases have answered. HAProxy counts by server, begins anew when it is reloaded, and gives a server
// to one release after the other; the ledger adds up what came since it was read last, so that it never goes back.
type ledger struct {
	mutex   sync.Mutex
	owners  map[string]int // release by address
	last    map[place]reading
	process map[int]string // that was read last, by side
	counts  map[int]towpath.Served
}

// place is a server of one of the HAProxies.
type place struct {
	side int
	name string
}

// reading is what was read of a server.
type reading struct {
	process          string
	requests, errors uint64
	release          int // 0 where it was not known
}

func newLedger() *ledger {
	return &ledger{
		owners: make(map[string]int), last: make(map[place]reading),
		process: make(map[int]string), counts: make(map[int]towpath.Served),
	}
}

// own says which release answers at an address from now on.
func (l *ledger) own(address string, release int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.owners[address] = release
}

// enter adds what came since the last reading of one of the HAProxies. What was answered before the first one counts for
// nobody.
func (l *ledger) enter(side int, t table) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	isFirst := l.process[side] == ""
	for _, s := range t.servers {
		now := reading{t.process, s.requests, s.errors, s.release()}
		if now.release == 0 {
			now.release = l.owners[s.address]
		}
		before, isKnown := l.last[place{side, s.name}]
		l.last[place{side, s.name}] = now
		if isKnown || !isFirst {
			l.add(before, now)
		}
	}
	l.process[side] = t.process
}

// add counts the difference for the release that had the server meanwhile: one changes hands in an order, after which it
// is read.
func (l *ledger) add(before, now reading) {
	if before.process != now.process || now.requests < before.requests { // it counts from nothing again
		before = reading{}
	}
	release := cmp.Or(before.release, now.release)
	if release == 0 {
		return
	}
	sum := l.counts[release]
	sum.Release = release
	sum.Requests += now.requests - before.requests
	sum.Errors += now.errors - min(now.errors, before.errors)
	l.counts[release] = sum
}

func (l *ledger) served() (all []towpath.Served) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, release := range slices.Sorted(maps.Keys(l.counts)) {
		all = append(all, l.counts[release])
	}
	return all
}
