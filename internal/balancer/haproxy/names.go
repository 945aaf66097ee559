package haproxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// resolvedFor is how long the address of a name is believed.
const resolvedFor = time.Minute

// names are those of machines that instances are reached at. HAProxy is given numbers, and shows numbers.
type names struct {
	mutex sync.Mutex
	known map[string]resolved // by host:port as targets have it
}

type resolved struct {
	numeric string
	at      time.Time
}

func newNames(slots []towpath.Slot) *names {
	n := &names{known: make(map[string]resolved)}
	for _, slot := range slots {
		n.known[slot.Address] = resolved{}
	}
	return n
}

func addresses(instances []towpath.Instance) (all []string) {
	for _, i := range instances {
		if i.Address != "" {
			all = append(all, i.Address)
		}
	}
	return all
}

// resolve looks up what is not known, of the addresses that are given and of the target's slots.
func (n *names) resolve(ctx context.Context, addresses ...string) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, address := range addresses {
		if _, is := n.known[address]; !is {
			n.known[address] = resolved{}
		}
	}
	for address, known := range n.known {
		if known.numeric != "" && time.Since(known.at) < resolvedFor {
			continue
		}
		numeric, err := lookUp(ctx, address)
		switch {
		case err == nil:
			n.known[address] = resolved{numeric, time.Now()}
		case known.numeric == "":
			return &deploy.Retryable{Err: fmt.Errorf("find the address of %s for HAProxy: %w", address, err)}
		}
	}
	return nil
}

// lookUp answers an address by number, one of version 4 where there is one.
func lookUp(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip != nil {
		return net.JoinHostPort(ip.String(), port), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	best := found[0].Unmap()
	for _, ip := range found {
		if ip.Unmap().Is4() {
			best = ip.Unmap()
			break
		}
	}
	return net.JoinHostPort(best.String(), port), nil
}

// numeric answers an address as HAProxy shows it.
func (n *names) numeric(address string) string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if known := n.known[address]; known.numeric != "" {
		return known.numeric
	}
	return address
}

// named answers an address as targets have it.
func (n *names) named(numeric string) string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for address, known := range n.known {
		if known.numeric == numeric {
			return address
		}
	}
	return numeric
}
