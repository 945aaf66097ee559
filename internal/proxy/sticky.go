package proxy

import (
	"cmp"
	"crypto/rand"
	"hash/fnv"
	"math/bits"
	"net/http"
	"slices"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// longestVisitor bounds what a client may give as its name, in bytes.
const longestVisitor = 64

// side is what a release has of a sticky route.
type side struct {
	pool
	release int
	weight  uint64
}

// sidesOf answers the releases that have a share, the newest first; none where visitors have nothing to choose between.
// As the newest stands first, and a visitor keeps the same point of the scale, who has come to the newest stays there while
// its share grows.
func sidesOf(backends []*backend) []*side {
	byRelease := make(map[int][]*backend)
	for _, b := range backends {
		if b.weight.Load() > 0 {
			byRelease[b.release] = append(byRelease[b.release], b)
		}
	}
	if len(byRelease) < 2 {
		return nil
	}
	sides := make([]*side, 0, len(byRelease))
	for release, some := range byRelease {
		made := &side{pool: pool{turns: turnsOf(some)}, release: release}
		for _, b := range some {
			made.weight += uint64(b.weight.Load())
		}
		sides = append(sides, made)
	}
	slices.SortFunc(sides, func(a, b *side) int { return cmp.Compare(b.release, a.release) })
	return sides
}

// give answers who takes a request: the side that its visitor belongs to, or whose turn it is.
func (r *routeTable) give(request *http.Request) (*backend, visitor) {
	if r.sides == nil {
		return r.pick(), visitor{}
	}
	of := visitorOf(r.name, request)
	return sideOf(r.sides, of.point).pick(), of
}

// visitor is a client of a sticky route.
type visitor struct {
	point uint64 // on a scale that the sides divide among them
	fresh string // the name that the client is given, where it has brought none
}

// visitorOf answers who a request is of. Clients that keep no cookies are another one each time: on average they are
// divided as the weights say.
func visitorOf(route string, r *http.Request) visitor {
	if cookie, err := r.Cookie(control.VisitorCookie); err == nil && cookie.Value != "" && len(cookie.Value) <= longestVisitor {
		return visitor{point: pointOf(route, cookie.Value)}
	}
	name := rand.Text()
	return visitor{point: pointOf(route, name), fresh: name}
}

// sideOf answers the side that a point of the scale belongs to.
func sideOf(sides []*side, point uint64) *side {
	var total uint64
	for _, s := range sides {
		total += s.weight
	}
	at, _ := bits.Mul64(point, total)
	for _, s := range sides {
		if at < s.weight {
			return s
		}
		at -= s.weight
	}
	return sides[len(sides)-1]
}

// pointOf spreads names evenly, also those that differ in one character only: FNV-1a, and the last step of MurmurHash3,
// without which its upper bits follow the last characters too closely. Routes divide their visitors independently.
func pointOf(route, name string) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(route + "\x00" + name)) // it never fails
	h := sum.Sum64()
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// cookie has a new visitor come back under the same name, until its browser is closed. Scripts cannot read it.
func (v visitor) cookie() string {
	made := http.Cookie{Name: control.VisitorCookie, Value: v.fresh, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	return made.String()
}
