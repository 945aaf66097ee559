//go:build linux

// Package fleet gives a test real hosts: each a Debian with its own systemd, sshd, disk and network address, on a switch
// that nothing outside of the test is plugged into. They boot in about a second, can be cut off, frozen, filled up and have
// their power cut, and are gone when the test ends, whatever ends it.
//
// It is for tests and benchmarks only. The machine has to be Linux, with the packages that Run names, and its user root.
//
// What a host is not: it shares the kernel, so its clock, and limits of memory that its systemd sets are not held.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// storyLimit ends a test whose story hangs.
const storyLimit = 10 * time.Minute

// closeLimit is how long the hosts of a story that is over may take to end.
const closeLimit = time.Minute

// T is what a fleet asks of whoever uses it. Tests have one; a benchmark brings its own.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Fleet is a number of hosts, and the switch they are on. The story is on it too, at Address. Its methods, and those of
// the hosts, return when what they are named for has come about; what cannot be done ends the test.
type Fleet struct {
	Hosts      []*Host
	Address    string // of the story itself, as the hosts see it
	Key        string // file of the private key that every host takes, for root and for the user deploy
	KnownHosts string // file with the hosts' keys, in the form of known_hosts(5), by name and by address
	SSHConfig  string // file in the form of ssh_config(5) that uses both

	t       T
	dir     string
	network network
}

// Run tells a test's story with so many hosts, which have booted and answer SSH. It is called first and last in a test:
// the story runs in another process, in namespaces of its own (apart.Run).
func Run(t *testing.T, hosts int, story func(t *testing.T, f *Fleet)) {
	t.Helper()
	if !apart.Inside(t) {
		apart.MustHave(t, Programs())
		if err := Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	apart.Run(t, Programs(), storyLimit, func(t *testing.T, p apart.Place) { story(t, Open(t, p, hosts)) })
}

// Programs are what a fleet needs, each with the package of Debian that it comes from.
func Programs() map[string]string {
	return map[string]string{
		"ip": "iproute2", "mkfs.ext4": "e2fsprogs", "mmdebstrap": "mmdebstrap", "nft": "nftables", "nsenter": "util-linux",
		"ssh": "openssh-client", "systemd-nspawn": "systemd-container", "tc": "iproute2",
	}
}

// Open boots so many hosts in a place: Run does so for tests. They end with the one who asked for them.
func Open(t T, p apart.Place, hosts int) *Fleet {
	t.Helper()
	began := time.Now()
	f := &Fleet{t: t, dir: p.Dir, Address: story}
	f.must("set the fleet up", f.open(p, hosts))
	t.Cleanup(f.close)
	f.must("boot the hosts", f.each((*Host).boot))
	t.Logf("%d hosts answer SSH after %s", hosts, time.Since(began).Round(time.Millisecond))
	return f
}

func (f *Fleet) open(p apart.Place, hosts int) error {
	ctx := f.t.Context()
	base, err := basePath()
	if err != nil {
		return err
	}
	if f.network, err = newNetwork(ctx); err != nil {
		return err
	}
	for i := range hosts {
		f.Hosts = append(f.Hosts, newHost(f, p, base, i))
	}
	if err := f.nameHosts(); err != nil {
		return err
	}
	if err := f.makeKeys(); err != nil {
		return err
	}
	return f.each((*Host).furnish)
}

// close ends all hosts and shows what they said last, if the test has failed.
func (f *Fleet) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.t.Context()), closeLimit)
	defer cancel()
	for _, h := range f.Hosts {
		if f.t.Failed() {
			f.t.Logf("%s said last:\n%s", h.Name, h.lastWords(ctx))
		}
	}
	if err := f.eachIn(ctx, (*Host).remove); err != nil {
		f.t.Fatalf("end the hosts: %v", err)
	}
}

// each does something on all hosts at once.
func (f *Fleet) each(do func(*Host, context.Context) error) error { return f.eachIn(f.t.Context(), do) }

func (f *Fleet) eachIn(ctx context.Context, do func(*Host, context.Context) error) error {
	failed := make([]error, len(f.Hosts))
	var all sync.WaitGroup
	for i, h := range f.Hosts {
		all.Go(func() {
			if err := do(h, ctx); err != nil {
				failed[i] = fmt.Errorf("%s: %w", h.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// file is the path of one of the fleet's own files.
func (f *Fleet) file(name string) string { return filepath.Join(f.dir, name) }

func (f *Fleet) must(what string, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
}
