package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
)

// Network is every host that somebody asked for, each with one connection that is kept. Its methods and those of its hosts
// may be called at once.
type Network struct {
	options Options
	closing context.Context
	close   context.CancelFunc
	running sync.WaitGroup
	mutex   sync.Mutex
	hosts   map[string]*Host
}

// New makes a network without any connection.
func New(o Options) *Network {
	n := &Network{options: o, hosts: make(map[string]*Host)}
	n.closing, n.close = context.WithCancel(context.Background())
	return n
}

// Close ends every connection, and what runs through them.
func (n *Network) Close() error {
	n.close()
	n.running.Wait()
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, h := range n.hosts {
		h.drop()
	}
	return nil
}

// Host answers a host by the name that people call it. An empty login or port is what the configuration says. Nothing is
// dialled yet.
func (n *Network) Host(name, login, port string) *Host { return n.host(name, login, port, nil) }

func (n *Network) host(name, login, port string, via *Host) *Host {
	key := strings.Join([]string{login, name, port}, "\n")
	if via != nil {
		key += "\n" + via.key
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	h, is := n.hosts[key]
	if !is {
		h = &Host{network: n, key: key, name: name, login: login, port: port, via: via, isJump: via != nil}
		n.hosts[key] = h
	}
	return h
}

// Host is a machine with a connection that is kept, and made anew when it is dead.
type Host struct {
	network *Network
	key     string
	name    string
	login   string
	port    string
	via     *Host // that is jumped from; nil is what the configuration says
	isJump  bool  // via was said by somebody's ProxyJump, and the configuration is not asked

	mutex    sync.Mutex
	kept     *connection
	dialling chan struct{} // closed when the dialling that is under way has ended; nil while there is none
	failed   error         // of the last dialling
}

// Name is what people call it.
func (h *Host) Name() string { return h.name }

// IsConnected says that there is a connection, as far as is known.
func (h *Host) IsConnected() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.kept != nil && h.kept.isAlive()
}

// connection answers the one that is kept, or makes one. Whoever asks while one is made waits for the same, until ctx is
// done: the dialling goes on then, within its own limit.
func (h *Host) connection(ctx context.Context) (*connection, error) {
	for tried := false; ; tried = true {
		h.mutex.Lock()
		if h.kept != nil && h.kept.isAlive() {
			defer h.mutex.Unlock()
			return h.kept, nil
		}
		if tried && h.dialling == nil && h.failed != nil {
			defer h.mutex.Unlock()
			return nil, h.failed
		}
		if err := h.network.closing.Err(); err != nil {
			defer h.mutex.Unlock()
			return nil, &Error{Host: h.name, Kind: ErrClosed, Err: err}
		}
		if h.dialling == nil {
			h.dialling = make(chan struct{})
			h.network.running.Go(h.redial)
		}
		dialling := h.dialling
		h.mutex.Unlock()
		select {
		case <-dialling:
		case <-ctx.Done():
			return nil, &Error{Host: h.name, Kind: ErrUnreachable, Err: fmt.Errorf("no connection yet: %w", context.Cause(ctx))}
		}
	}
}

func (h *Host) redial() {
	made, err := h.dial(h.network.closing)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.kept, h.failed = made, err
	close(h.dialling)
	h.dialling = nil
}

// dial reads the configuration anew, as a person may just have mended it.
func (h *Host) dial(ctx context.Context) (*connection, error) {
	s, via, err := h.route()
	if err != nil {
		return nil, &Error{Host: h.name, Kind: ErrSettings, Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("no connection within %s", s.limit))
	defer cancel()
	raw, err := reach(ctx, via, s.address)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		var known *Error
		if errors.As(err, &known) && isLasting(err) {
			return nil, &Error{Host: h.name, Kind: known.Kind, Err: fmt.Errorf("jump host %w", err)}
		}
		return nil, &Error{Host: h.name, Kind: ErrUnreachable, Err: fmt.Errorf("%s: %w", s.address, err)}
	}
	return dial(ctx, raw, s)
}

// route answers what is set for the host, and the host before it; nil where there is none.
func (h *Host) route() (settings, *Host, error) {
	c, err := readConfig(h.network.options)
	if err != nil {
		return settings{}, nil, err
	}
	s, err := c.of(h.name, h.login, h.port)
	if err != nil || h.isJump {
		return s, h.via, err
	}
	if len(s.jumps) > maxJumps {
		return s, nil, fmt.Errorf("%w: %d jump hosts before %s", ErrSettings, len(s.jumps), h.name)
	}
	var via *Host
	for _, jump := range s.jumps {
		login, name, port, err := parseJump(jump)
		if err != nil {
			return s, nil, err
		}
		if name == h.name {
			continue // "Host *" names the jump host of all, of which it is one
		}
		via = h.network.host(name, login, port, via)
	}
	return s, via, nil
}

// parseJump reads [user@]host[:port], or the same with ssh:// before it.
func parseJump(jump string) (login, name, port string, err error) {
	u, err := url.Parse("ssh://" + strings.TrimPrefix(strings.TrimSpace(jump), "ssh://"))
	if err != nil || u.Hostname() == "" {
		return "", "", "", fmt.Errorf("%w: %q is no jump host", ErrSettings, jump)
	}
	return u.User.Username(), u.Hostname(), u.Port(), nil
}

func reach(ctx context.Context, via *Host, address string) (net.Conn, error) {
	if via != nil {
		return via.through(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// through connects from this host to an address that it knows.
func (h *Host) through(ctx context.Context, address string) (net.Conn, error) {
	c, err := h.connection(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.client.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("from %s: %w", h.name, err)
	}
	return conn, nil
}

// Dial connects to a port of the host as its network sees it: from the last jump host where there is one. So an address
// that only the host itself has, such as its loopback, is not reached.
func (h *Host) Dial(ctx context.Context, port string) (net.Conn, error) {
	s, via, err := h.route()
	if err != nil {
		return nil, &Error{Host: h.name, Kind: ErrSettings, Err: err}
	}
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, &Error{Host: h.name, Kind: ErrSettings, Err: err}
	}
	return reach(ctx, via, net.JoinHostPort(host, port))
}

// drop ends the connection that is kept.
func (h *Host) drop() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.kept != nil {
		h.kept.close()
	}
}
