//go:build linux

package hosts_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

const owner = sshtest.Other + ":" + sshtest.Other

// isOf sees whose a path on the first host is.
func (f *fleet) isOf(id uint32, parts ...string) {
	f.Helper()
	info, err := os.Lstat(f.on(0, parts...))
	if err != nil {
		f.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != id || stat.Gid != id {
		f.Errorf("%v is of %d:%d, not %d", parts, stat.Uid, stat.Gid, id)
	}
}

// belongs sees that all of a release is another's than the login's, and that nothing else is.
func (f *fleet) belongs(login uint32, id string) {
	f.Helper()
	for _, path := range []string{"releases/" + id, "releases/" + id + "/deep/er/file", "releases/" + id + "/log", "tmp/" + id, "shared/log", "shared/settings.ini"} {
		f.isOf(sshtest.OtherID, path)
	}
	for _, path := range []string{"env", "current", ".towpath"} {
		f.isOf(login, path)
	}
}

func TestRootGivesFilesToTheirOwner(t *testing.T) {
	f := newFleetOf(t, 1, sshtest.Setting{Login: "deploy"}, func(h *towpath.HostsTarget) { h.Owner = owner })
	f.definition.Target.Hosts.Hosts[0].User = "root"
	f.lives()
	f.deploys(42, 7)
	f.belongs(0, "r42-7")
	if info, err := os.Stat(f.on(0, "env")); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// rules is what docs/hosts.md has, for the folder of the test.
func rules(t *testing.T, path string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(page)) {
		if strings.Contains(line, "NOPASSWD: /usr/bin/chown") {
			lines = append(lines, line)
		}
	}
	return strings.NewReplacer("shop:www-data", owner, "/srv/shop", path, "config/local.yaml", "settings.ini").Replace(strings.Join(lines, ""))
}

func TestALoginThatMayGiveFilesAway(t *testing.T) {
	f := newFleetOf(t, 1, sshtest.Setting{Login: "deploy", Sudo: "Defaults !requiretty"}, func(h *towpath.HostsTarget) { h.Owner = owner })
	ids, slots := f.ids(1)
	place := deploy.Place{Release: 42, Instances: ids, Slots: slots}
	f.fails(deploy.Check{Release: 42, Instances: 1}, "leave for deploy to run sudo -n chown -Rh "+owner+" "+f.path+"/releases/r1-1")
	f.fails(place, "sudo: a password is required")

	f.hosts[0].Sudoers(rules(t, f.path))
	f.does(deploy.Check{Release: 42, Instances: 1})
	f.deploys(42, 1)
	f.belongs(sshtest.LoginID, "r42-1")
	f.deploys(43, 2)
	f.serveOnly(43)
	f.does(deploy.Remove{Instances: []string{"r42-1"}})
	if _, err := os.Stat(f.on(0, "releases", "r42-1")); err == nil {
		t.Error("what was given away cannot be removed")
	}
	f.definition.Assets = "public"
	f.Driver = f.open()
	f.fails(deploy.Check{Release: 43, Instances: 1}, "a login that is root or "+sshtest.Other)
}

func TestAnOwnerWhomNobodyKnowsIsToldBeforeAnythingIsTouched(t *testing.T) {
	f := newFleet(t, 1, func(h *towpath.HostsTarget) { h.Owner = "nobody-of-ours:users" })
	f.fails(deploy.Check{Release: 42, Instances: 1}, "the user nobody-of-ours")
	f.definition.Target.Hosts.Owner = "root:nobody-of-ours"
	f.Driver = f.open()
	f.fails(deploy.Check{Release: 42, Instances: 1}, "the group nobody-of-ours")
}
