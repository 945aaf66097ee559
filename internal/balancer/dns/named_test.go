package dns

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// patience bounds whatever a test waits for.
const patience = 30 * time.Second

// zone is what the server knows at first: another name, and that one's address.
const zone = `$TTL 3600
@ IN SOA ns.shop.test. root.shop.test. (1 3600 600 86400 60)
@ IN NS ns
ns IN A 127.0.0.1
other IN A 192.0.2.99
`

const settings = `
options { directory %[1]q; listen-on port %[2]s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none;
	session-keyfile none; dnssec-validation no; };
controls { };
key towpath { algorithm hmac-sha256; secret %[3]q; };
key another { algorithm hmac-sha256; secret %[3]q; };
zone "shop.test" { type primary; file "zone"; update-policy { grant towpath zonesub ANY; }; };
`

// named is a BIND with a zone that takes updates.
type named struct {
	*testing.T
	address string
	secret  string
	process *exec.Cmd
	dir     string
	now     time.Time
}

func newNamed(t *testing.T) *named {
	t.Helper()
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	n := &named{T: t, dir: t.TempDir(), secret: base64.StdEncoding.EncodeToString(secret), now: time.Unix(1_800_000_000, 0)}
	n.address = n.freeAddress()
	_, port, _ := net.SplitHostPort(n.address)
	n.write("zone", zone)
	n.write("named.conf", fmt.Sprintf(settings, n.dir, port, n.secret))
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *named) write(name, text string) {
	n.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
		n.Fatal(err)
	}
}

func (n *named) freeAddress() string {
	n.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start starts it, and waits until it speaks for the zone.
func (n *named) start() {
	n.Helper()
	program, err := exec.LookPath("named")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/named")
	}
	if err != nil {
		n.Fatal("this test needs BIND: make packages, or apt-get install --no-install-recommends bind9")
	}
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.Fatal(err)
	}
	defer log.Close()
	n.process = exec.Command(program, "-g", "-n", "1", "-c", filepath.Join(n.dir, "named.conf"))
	n.process.Stdout, n.process.Stderr = log, log
	if err := n.process.Start(); err != nil {
		n.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); len(n.addresses("other.shop.test.")) == 0; <-ticker.C {
		if time.Now().After(deadline) {
			n.stop()
			n.Fatal("BIND does not answer")
		}
	}
}

func (n *named) stop() {
	n.Helper()
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill()
	_ = n.process.Wait() // it was killed
	n.process = nil
	if n.Failed() {
		log, _ := os.ReadFile(filepath.Join(n.dir, "log"))
		n.Logf("BIND said last:\n%s", log[max(0, len(log)-3000):])
	}
}

// ask is what any client sees of a name.
func (n *named) ask(name string, kind uint16) []dns.RR {
	n.Helper()
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(name, kind), n.address)
	if err != nil {
		return nil
	}
	return answer.Answer
}

func (n *named) addresses(name string) []string {
	n.Helper()
	var seen []string
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, r := range n.ask(name, kind) {
			if ip, ok := ipOf(r); ok {
				seen = append(seen, fmt.Sprintf("%s for %d", ip, r.Header().Ttl))
			}
		}
	}
	slices.Sort(seen)
	return seen
}

// answers checks what clients are given for the environment's name.
func (n *named) answers(want ...string) {
	n.Helper()
	if got := n.addresses("www.shop.test."); strings.Join(got, ", ") != strings.Join(want, ", ") {
		n.Errorf("clients get %v, want %v", got, want)
	}
}

func (n *named) definition() towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{DNS: &towpath.DNSBalancer{
		Server: n.address, Zone: "shop.test", Name: "www.shop.test", TTL: time.Minute, Key: "DNS_KEY",
	}}}
}

func (n *named) open() *Driver { return n.openWith("hmac-sha256:towpath:" + n.secret) }

func (n *named) openWith(key string) *Driver {
	n.Helper()
	d, err := New(Options{
		Environment: "shop/production", Definition: n.definition(), Credentials: map[string]string{"DNS_KEY": key},
		Now: func() time.Time { return n.now },
	})
	if err != nil {
		n.Fatal(err)
	}
	return d
}

var epoch = towpath.Epoch{Number: 7, Holder: "keeper 1/2"}

func instance(release, serial int, address string) towpath.Instance {
	return towpath.Instance{ID: towpath.InstanceID(release, serial), Release: release, Address: address}
}

func (n *named) try(d *Driver, e towpath.Epoch, o deploy.Operation, instances ...towpath.Instance) (deploy.Receipt, error) {
	return d.Do(n.Context(), deploy.Order{Epoch: e, Operation: o, Instances: instances})
}

func (n *named) does(d *Driver, o deploy.Operation, instances ...towpath.Instance) deploy.Receipt {
	n.Helper()
	receipt, err := n.try(d, epoch, o, instances...)
	if err != nil {
		n.Fatalf("%s: %v", o, err)
	}
	return receipt
}

// saw checks what the driver sees, a word a member.
func (n *named) saw(d *Driver, want string) towpath.Observation {
	n.Helper()
	seen, err := d.Observe(n.Context())
	if err != nil {
		n.Fatal(err)
	}
	var lines []string
	for _, i := range seen.Instances {
		lines = append(lines, fmt.Sprintf("%s=%s:%d:%t", i.ID, i.Address, i.Traffic.Weight, i.Traffic.IsIdle()))
	}
	if got := strings.Join(lines, " "); got != want {
		n.Errorf("%q, want %q", got, want)
	}
	return seen
}
