// Package dnstest runs a real BIND for tests and benchmarks, whose zone takes signed updates.
package dnstest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	patience = time.Minute      // for whatever is waited for
	askLimit = 20 * time.Second // for an answer, on a machine that is busy
)

// Zone is the server's, and Other a name in it that has an address from the beginning.
const (
	Zone  = "shop.test"
	Other = "other.shop.test."
)

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

// T is what a test or a benchmark has to have.
type T interface {
	Helper()
	Cleanup(func())
	Fatal(...any)
	Fatalf(string, ...any)
}

// Named is a BIND. The key "towpath" may change all of its zone, the key "another" nothing; both have the same secret.
type Named struct {
	Address string // host:port
	Secret  string // in base64

	folder  string
	process *exec.Cmd
}

// Start runs one. It is stopped in the end.
func Start(t T) *Named {
	t.Helper()
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "named")
	if err != nil {
		t.Fatal(err)
	}
	n := &Named{folder: folder, Secret: base64.StdEncoding.EncodeToString(secret), Address: freeAddress(t)}
	t.Cleanup(func() {
		n.Stop()
		_ = os.RemoveAll(folder)
	})
	_, port, _ := net.SplitHostPort(n.Address)
	n.write(t, "zone", zone)
	n.write(t, "named.conf", fmt.Sprintf(settings, folder, port, n.Secret))
	n.Start(t)
	return n
}

// Key is what signs updates, as nsupdate(1) takes it after -y.
func (n *Named) Key() string { return "hmac-sha256:towpath:" + n.Secret }

func (n *Named) write(t T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start runs it, and waits until it speaks for the zone.
func (n *Named) Start(t T) {
	t.Helper()
	program, err := exec.LookPath("named")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/named")
	}
	if err != nil {
		t.Fatal("this needs BIND: make packages, or apt-get install --no-install-recommends bind9")
	}
	log, err := os.OpenFile(filepath.Join(n.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.process = exec.Command(program, "-g", "-n", "1", "-c", filepath.Join(n.folder, "named.conf"))
	n.process.Stdout, n.process.Stderr = log, log
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); len(n.Addresses(Other)) == 0; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(n.folder, "log"))
			t.Fatalf("BIND does not answer:\n%s", log[max(0, len(log)-3000):])
		}
	}
}

// Stop ends it at once.
func (n *Named) Stop() {
	if n.process != nil {
		_ = n.process.Process.Kill()
		_ = n.process.Wait() // it was killed
		n.process = nil
	}
}

// Addresses is what any client sees of a name, which ends with a dot: each address with how long it may be kept.
func (n *Named) Addresses(name string) []string {
	found, _ := n.ask(context.Background(), name)
	var seen []string
	for _, r := range found {
		if ip, ok := ipOf(r); ok {
			seen = append(seen, fmt.Sprintf("%s for %d", ip, r.Header().Ttl))
		}
	}
	slices.Sort(seen)
	return seen
}

// Set gives a name, which ends with a dot, these IPv4 addresses alone, for so many seconds: as a person does by nsupdate(1).
func (n *Named) Set(t T, name string, seconds int, ips ...string) {
	t.Helper()
	update := new(dns.Msg).SetUpdate(Zone + ".")
	var records []dns.RR
	for _, ip := range ips {
		header := dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: uint32(seconds)}
		records = append(records, &dns.A{Hdr: header, A: net.ParseIP(ip)})
	}
	update.RemoveRRset(records)
	update.Insert(records)
	update.SetTsig("towpath.", dns.HmacSHA256, 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{"towpath.": n.Secret}}
	answer, _, err := client.Exchange(update, n.Address)
	if err != nil || answer.Rcode != dns.RcodeSuccess {
		t.Fatalf("set %s: %v %v", name, answer, err)
	}
}

func (n *Named) ask(ctx context.Context, name string) (found []dns.RR, err error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, _, err := (&dns.Client{Timeout: askLimit}).ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, kind), n.Address)
		if err != nil {
			return nil, err
		}
		found = append(found, answer.Answer...)
	}
	return found, nil
}

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

func freeAddress(t T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
