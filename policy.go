package towpath

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Policy is what the server allows of an environment, whatever its pipeline file says: the file can only narrow it. A nil list says
// nothing, and what is allowed without a policy is allowed; an empty one allows nothing.
type Policy struct {
	Environment string   // key: "shop/production"
	Protected   bool     // without Refs only protected branches deploy there; production is so from the start
	Refs        []string `json:",omitzero"` // globs of branches and of tags ("tags/v*") whose runs may deploy; no others, protected or not
	Workers     []string `json:",omitzero"` // names of those that may keep the environment
	Secrets     []string `json:",omitzero"` // names of those that its definition may have
	Addresses   []string `json:",omitzero"` // of hosts and balancers: names, compared as they are written, IP addresses, and CIDRs

	By string    // who said so last
	At time.Time // when
}

// AdmitsWorker says that a worker of that name may keep the environment.
func (p Policy) AdmitsWorker(name string) bool {
	return p.Workers == nil || slices.Contains(p.Workers, name)
}

// Refuses says what of a definition the policy does not allow: addresses and secrets; empty is that it allows all of them.
func (p Policy) Refuses(d EnvironmentDefinition) string {
	var beyond []string
	for _, address := range d.Addresses() {
		if !p.admitsAddress(address) {
			beyond = append(beyond, "address "+address)
		}
	}
	for _, name := range d.Grants() {
		if p.Secrets != nil && !slices.Contains(p.Secrets, name) {
			beyond = append(beyond, "secret "+name)
		}
	}
	if len(beyond) == 0 {
		return ""
	}
	return "the policy of " + p.Environment + " does not allow " + strings.Join(beyond, ", ")
}

// admitsAddress compares what the pipeline file has with what is allowed, and resolves nothing: what a name stands for is decided
// elsewhere, and later.
func (p Policy) admitsAddress(address string) bool {
	if p.Addresses == nil || slices.Contains(p.Addresses, address) {
		return true
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(p.Addresses, func(allowed string) bool {
		network, err := networkOf(allowed)
		return err == nil && network.Contains(ip.Unmap())
	})
}

// networkOf reads a CIDR, or an IP address as a network of one.
func networkOf(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	ip = ip.Unmap()
	return netip.PrefixFrom(ip, ip.BitLen()), nil
}

// The lists of a policy, as people name them.
const (
	PolicyRef     = "ref"
	PolicyWorker  = "worker"
	PolicySecret  = "secret"
	PolicyAddress = "address"
)

// PolicyChange is what a person wants of a policy. What it does not name stays.
type PolicyChange struct {
	Protected                         *bool
	Refs, Workers, Secrets, Addresses []string // in place of what was allowed; nil is as before, empty allows nothing
	Lift                              []string // lists (PolicyRef, …) that say nothing any more
}

// mostAllowed bounds each list.
const mostAllowed = 500

// With answers the policy after a change; CodeInvalid says what is wrong with it.
func (p Policy) With(c PolicyChange, by string, at time.Time) (Policy, error) {
	if c.String() == "" {
		return p, Errorf(CodeInvalid, "nothing is to be changed")
	}
	lists := map[string]*[]string{PolicyRef: &p.Refs, PolicyWorker: &p.Workers, PolicySecret: &p.Secrets, PolicyAddress: &p.Addresses}
	for _, name := range c.Lift {
		list, is := lists[name]
		if !is {
			return p, Errorf(CodeInvalid, "%q is no list of a policy", name).
				WithHint("there are %s, %s, %s and %s", PolicyRef, PolicyWorker, PolicySecret, PolicyAddress)
		}
		*list = nil
	}
	given := map[string][]string{PolicyRef: c.Refs, PolicyWorker: c.Workers, PolicySecret: c.Secrets, PolicyAddress: c.Addresses}
	for name, allowed := range given {
		if allowed == nil {
			continue
		}
		if slices.Contains(c.Lift, name) {
			return p, Errorf(CodeInvalid, "the list of each %s is both set and lifted", name)
		}
		list, err := allowedOf(name, allowed)
		if err != nil {
			return p, err
		}
		*lists[name] = list
	}
	if c.Protected != nil {
		p.Protected = *c.Protected
	}
	p.By, p.At = by, at
	return p, nil
}

// allowedOf is a list as it is kept: in order, nothing twice.
func allowedOf(name string, allowed []string) ([]string, error) {
	list := append([]string{}, allowed...)
	if len(list) > mostAllowed {
		return nil, Errorf(CodeInvalid, "a policy lists at most %d of each %s", mostAllowed, name)
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
		switch {
		case list[i] == "" || len(list[i]) > 253 || strings.ContainsAny(list[i], " \t\n"):
			return nil, Errorf(CodeInvalid, "%q cannot be a %s", list[i], name)
		case name == PolicyAddress:
			if err := checkAddress(list[i]); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// checkAddress refuses what would never be equal to anything, such as an address with a port.
func checkAddress(text string) error {
	network, err := networkOf(text)
	isNetwork := strings.Contains(text, "/")
	switch {
	case isNetwork && (err != nil || network.Addr().Is4In6()):
		return Errorf(CodeInvalid, "%q is no network", text).WithHint("write it as 10.0.0.0/8 or fd00::/8")
	case !isNetwork && err != nil && strings.ContainsAny(text, ":[]@*"):
		return Errorf(CodeInvalid, "%q is neither a host's name nor an IP address", text).
			WithHint("write it without login and port: web1.example.com, 10.0.0.7, fd00::7, 10.0.0.0/8")
	}
	return nil
}

// String says in words what is allowed, for people: "refs main; addresses web1, 10.0.0.0/8". Nothing is empty.
func (p Policy) String() string {
	protected := ""
	if p.Protected {
		protected = "protected"
	}
	return joinedBy("; ", protected, allowedInWords("refs", p.Refs), allowedInWords("workers", p.Workers),
		allowedInWords("secrets", p.Secrets), allowedInWords("addresses", p.Addresses))
}

// String says in words what is wanted, for the audit.
func (c PolicyChange) String() string {
	protected, lifted := "", ""
	if c.Protected != nil {
		protected = "not protected"
		if *c.Protected {
			protected = "protected"
		}
	}
	if len(c.Lift) > 0 {
		lifted = "any " + strings.Join(c.Lift, ", any ")
	}
	return joinedBy("; ", protected, allowedInWords("refs", c.Refs), allowedInWords("workers", c.Workers),
		allowedInWords("secrets", c.Secrets), allowedInWords("addresses", c.Addresses), lifted)
}

func allowedInWords(what string, list []string) string {
	switch {
	case list == nil:
		return ""
	case len(list) == 0:
		return "no " + what
	}
	return what + " " + strings.Join(list, ", ")
}

// Exceeds says what of a definition the environment's policy does not allow; nil stands for the definition in force. Empty is that it
// allows all of it.
func (e Environment) Exceeds(d *EnvironmentDefinition) string {
	if d == nil {
		d = &e.Definition
	}
	return e.Policy.Refuses(*d)
}

// PolicySet tells an environment what the server allows of it from now on. What has begun goes on to its end; what waits and is not
// allowed any more is refused.
type PolicySet struct {
	Policy Policy
	Barred map[string]string // by deployment's ID: why those that wait may not begin, as their refs are not allowed
	At     time.Time
}

func (e PolicySet) when() time.Time { return e.At }

func (e PolicySet) refusedBy(env Environment) error {
	if e.Policy.Environment != env.Key {
		return Errorf(CodeInvalid, "this policy is of %s", e.Policy.Environment)
	}
	return nil
}

// apply leaves those in the queue that go by the definition in force: it may be another one by the time they begin.
func (e PolicySet) apply(t *environmentTransition) {
	env := &t.environment
	env.Policy = e.Policy
	waiting := env.Queue
	env.Queue = nil
	for _, d := range waiting {
		reason := e.Barred[d.ID]
		if reason == "" && d.Definition != nil {
			reason = env.Exceeds(d.Definition)
		}
		if reason != "" {
			t.close(d, DeploymentRefused, reason)
			continue
		}
		env.Queue = append(env.Queue, d)
	}
	t.startNext()
}
