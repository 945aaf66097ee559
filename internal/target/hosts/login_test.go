//go:build linux

package hosts_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// lives leads a fleet through all that a driver does, forward, back and away.
func (f *fleet) lives() {
	f.Helper()
	f.definition.Assets = "public"
	f.files["public/a script.js"], f.files["public/deep/one.js"] = "same", "of 42"
	f.Driver = f.open()
	f.does(deploy.Check{Release: 42, Instances: len(f.hosts)})
	first := f.deploys(42, 1)
	f.serveOnly(42)
	delete(f.files, "public/deep/one.js")
	f.files["public/deep/two.js"], f.files["deep/er/file"] = "of 43", "deeper"
	f.Driver = f.open() // with what is laid out anew
	second := f.deploys(43, 1+len(first))
	f.serveOnly(43)
	want := map[string]string{"a script.js": "same", "deep/one.js": "of 42", "deep/two.js": "of 43"}
	for n := range f.hosts {
		for _, id := range []string{first[n], second[n]} {
			if got := f.assets(n, id); !maps.Equal(got, want) {
				f.Errorf("%s has %q", id, got)
			}
		}
		if inode(f.T, f.on(n, "releases", first[n], `bin/tool`)) != inode(f.T, f.on(n, "releases", second[n], `bin/tool`)) {
			f.Error("what is the same was copied")
		}
		if got := f.read(n, "releases", second[n], "deep", "er", "file"); got != "deeper" {
			f.Errorf("%q", got)
		}
	}
	f.of(42)
	f.does(deploy.Start{Instances: first})
	f.does(deploy.Probe{Instances: first, Within: patience})
	f.serveOnly(42)
	f.does(deploy.Stop{Instances: first})
	f.does(deploy.Remove{Instances: append(first, second...)})
	for n := range f.hosts {
		if left, err := os.ReadDir(f.on(n, "releases")); err != nil || len(left) > 0 {
			f.Errorf("%v is left, %v", left, err)
		}
	}
}

func TestALoginThatIsNotRootDoesAll(t *testing.T) {
	f := newFleetOf(t, 2, sshtest.Setting{Login: "deploy"})
	f.lives()
	info, err := os.Stat(f.on(0, "shared", "log"))
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != sshtest.LoginID {
		t.Errorf("%v, %v", info, err)
	}
}

func TestBusyboxIsEnough(t *testing.T) {
	for name, change := range map[string]func(*towpath.HostsTarget){
		"linked": func(*towpath.HostsTarget) {}, "prepared": func(h *towpath.HostsTarget) { h.Prepare = "echo made >made" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetOf(t, 1, sshtest.Setting{Login: "deploy", Busybox: true}, change)
			if name == "linked" {
				f.lives()
				return
			}
			f.deploys(42, 1)
			f.deploys(43, 2)
			f.serveOnly(43)
			if got := f.read(0, "releases", "r43-2", "made"); got != "made\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestHostsBehindAnotherOneAreReachedThroughIt(t *testing.T) {
	f := newFleet(t, 2)
	jump := f.lab.Host(sshtest.Setting{})
	config := ""
	for _, h := range f.hosts {
		config += fmt.Sprintf("Host %s\n  ProxyJump root@%s\n", h.IP, jump.Address())
	}
	f.lab.Write("config", config)
	f.lives()
	if !strings.Contains(jump.Log(), "Accepted publickey") {
		t.Error("nobody came by the host before them")
	}
	jump.PowerOff()
	for _, s := range f.observes().Slots {
		if !strings.Contains(s.Problem, jump.IP) {
			t.Errorf("%+v", s)
		}
	}
}
