package access

import (
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
)

// How many sign-ins may fail in a window, by name and by address, before more are refused unseen.
const (
	failuresOfName    = 10
	failuresOfAddress = 50
	failuresWindow    = 15 * time.Minute
	failuresKept      = 10_000 // keys; more are forgotten from all, rather than that memory grows without end
)

// attempts counts failed sign-ins, in memory.
type attempts struct {
	mu     sync.Mutex
	failed map[string]failures
}

type failures struct {
	count int
	since time.Time
}

func newAttempts() *attempts { return &attempts{failed: map[string]failures{}} }

// begin counts a sign-in as failed until it succeeds, so that many at once are no way round. It answers
// CodeUnavailable where too many have failed.
func (a *attempts) begin(name, address string, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count(nameKey(name), now) >= failuresOfName || a.count(addressKey(address), now) >= failuresOfAddress {
		return towpath.Errorf(towpath.CodeUnavailable, "too many failed sign-ins").
			WithHint("try again in %d minutes, or ask an administrator for a link", int(failuresWindow.Minutes()))
	}
	if len(a.failed) >= failuresKept {
		a.forget(now)
	}
	for _, key := range []string{nameKey(name), addressKey(address)} {
		f := failures{count: a.count(key, now), since: a.failed[key].since}
		if f.count == 0 {
			f.since = now
		}
		f.count++
		a.failed[key] = f
	}
	return nil
}

// succeed forgets the failures of a name. Those of the address stay, but for this one: somebody may try many names from
// it, one of them their own.
func (a *attempts) succeed(name, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, nameKey(name))
	if f := a.failed[addressKey(address)]; f.count > 0 {
		f.count--
		a.failed[addressKey(address)] = f
	}
}

func nameKey(name string) string       { return "name " + name }
func addressKey(address string) string { return "address " + address }

func (a *attempts) count(key string, now time.Time) int {
	f := a.failed[key]
	if now.Sub(f.since) >= failuresWindow {
		return 0
	}
	return f.count
}

func (a *attempts) forget(now time.Time) {
	for key := range a.failed {
		if a.count(key, now) == 0 {
			delete(a.failed, key)
		}
	}
	if len(a.failed) >= failuresKept {
		clear(a.failed)
	}
}
