package dnstest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Resolver keeps what it was told of a name for as long as it may, as caches do, and gives its addresses out in turn.
type Resolver struct {
	named      *Named
	name, port string

	mutex sync.Mutex
	known []string
	until time.Time
	turn  int
}

// NewResolver answers one that has not asked yet. The name ends with a dot.
func (n *Named) NewResolver(name, port string) *Resolver {
	return &Resolver{named: n, name: name, port: port}
}

// Find answers host:port of who is asked next.
func (r *Resolver) Find(ctx context.Context) (string, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !time.Now().Before(r.until) {
		if err := r.look(ctx); err != nil {
			return "", err
		}
	}
	r.turn++
	return net.JoinHostPort(r.known[r.turn%len(r.known)], r.port), nil
}

func (r *Resolver) look(ctx context.Context) error {
	asked := time.Now()
	found, err := r.named.ask(ctx, r.name)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", r.name, err)
	}
	r.known, r.until = nil, asked
	for n, record := range found {
		if ip, ok := ipOf(record); ok {
			r.known = append(r.known, ip.String())
		}
		if ttl := time.Duration(record.Header().Ttl) * time.Second; n == 0 {
			r.until = asked.Add(ttl)
		}
	}
	if len(r.known) == 0 {
		return fmt.Errorf("resolve %s: it has no address", r.name)
	}
	return nil
}
