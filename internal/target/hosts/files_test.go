//go:build linux

package hosts_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// inode tells files apart that have the same content.
func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestOnlyWhatChangedTravelsAndTheRestIsTheSameFile(t *testing.T) {
	f := newFleet(t, 1)
	first := f.deploys(42, 1)[0]
	f.files["deep/er/file"] = "deeper"
	f.files["bin/tool"] = "#!/bin/sh" // the same content, and no program any more
	f.of(43)
	ids, slots := f.ids(7)
	receipt := f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	if receipt.Detail != "5 of 6 files changed" && receipt.Detail != "4 of 6 files changed" {
		// release, settings.ini, deep/er/file, bin/tool; and the one whose name some sha256sum writes otherwise
		t.Error(receipt.Detail)
	}
	const same = "a name with 'quotes'.txt"
	if inode(t, f.on(0, "releases", first, same)) != inode(t, f.on(0, "releases", ids[0], same)) {
		t.Error("what is the same was copied")
	}
	for name, mode := range map[string]os.FileMode{"bin/tool": 0o444, `back\slash`: 0o444} {
		if info, err := os.Stat(f.on(0, "releases", ids[0], name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(f.on(0, "releases", first, "bin/tool")); err != nil || info.Mode() != 0o555 {
		t.Errorf("the older release's program: %v, %v", info.Mode(), err)
	}
	if to, err := os.Readlink(f.on(0, "releases", ids[0], "link")); err != nil || to != "release" {
		t.Errorf("%q, %v", to, err)
	}
}

func TestWhatAReleaseDidToItsFilesTravelsNoFurther(t *testing.T) {
	f := newFleet(t, 1)
	first := f.deploys(42, 1)[0]
	spoilt := f.on(0, "releases", first, "deep", "er", "file")
	if err := os.WriteFile(spoilt, []byte("dee!"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.of(43)
	ids, slots := f.ids(2)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	if content := f.read(0, "releases", ids[0], "deep", "er", "file"); content != "deep" {
		t.Errorf("it has %q", content)
	}
}

func TestWhatIsPreparedHasFilesOfItsOwn(t *testing.T) {
	f := newFleet(t, 1, func(h *towpath.HostsTarget) {
		h.Prepare = `echo "$TOKEN for $TOWPATH_INSTANCE" >deep/er/file; echo made >made; test "$(pwd)" != "$HOME"; echo "$GREETING"`
	})
	first := f.deploys(42, 1)[0]
	second := f.deploys(43, 2)[0]
	for _, id := range []string{first, second} {
		if content := f.read(0, "releases", id, "deep", "er", "file"); content != "geheimnis$1 for "+id+"\n" {
			t.Errorf("%s has %q", id, content)
		}
	}
	f.definition.Target.Hosts.Prepare = "echo that went wrong; false; echo never"
	d := f.open()
	f.of(44)
	ids, slots := f.ids(3)
	_, err := f.doBy(d, f.epoch, deploy.Place{Release: 44, Instances: ids, Slots: slots})
	permanent, is := err.(*deploy.Permanent) //nolint:errorlint // that it is not wrapped is the contract
	if !is || !strings.Contains(strings.Join(permanent.Log, "\n"), "that went wrong") || strings.Contains(strings.Join(permanent.Log, "\n"), "never") {
		t.Errorf("%v", err)
	}
	if i := f.sees(ids[0]); i.ID != "" {
		t.Errorf("%+v", i)
	}
	if _, err := os.Stat(f.on(0, ".towpath", "tmp")); err == nil {
		t.Error("the files of what could not be placed fill the disk")
	}
}

func TestWhatIsSharedIsTheSameInEveryRelease(t *testing.T) {
	f := newFleet(t, 1)
	first := f.deploys(42, 1)[0]
	if got := f.read(0, "shared", "settings.ini"); got != "of release 42" {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(f.on(0, "releases", first, "log", "line"), []byte("said"), 0o600); err == nil {
		t.Error("the link of a host leads somewhere on this machine")
	}
	for _, name := range []string{"log/line", "env.old"} { // one that is called as ours are
		if err := os.WriteFile(f.on(0, "shared", name), []byte("said"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := f.deploys(43, 2)[0]
	if got := f.read(0, "shared", "env.old"); got != "said" {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"log", "settings.ini"} {
		if to, err := os.Readlink(f.on(0, "releases", second, name)); err != nil || to != filepath.Join(f.path, "shared", name) {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
	if got := f.read(0, "shared", "settings.ini"); got != "of release 42" {
		t.Errorf("the later release changed what is shared: %q", got)
	}
}

func TestSecretsAreReadByTheirOwnerAndByWhatRuns(t *testing.T) {
	f := newFleet(t, 1)
	f.deploys(42, 1)
	if said := f.serves(0, "/env?name=TOKEN"); said != "geheimnis$1" {
		t.Errorf("TOKEN is %q", said)
	}
	if said, want := f.serves(0, "/env?name=GREETING"), f.release.Env["production"]["GREETING"]; said != want {
		t.Errorf("GREETING is %q, not %q", said, want)
	}
	info, err := os.Stat(f.on(0, "env"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	secret := []byte("geheimnis")
	err = filepath.WalkDir(f.hosts[0].Disk(), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if info, _ := e.Info(); strings.Contains(string(content), string(secret)) && info.Mode() != 0o600 {
			t.Errorf("%s has the secret, and is %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(f.hosts[0].Log(), string(secret)) {
		t.Error("sshd saw the secret")
	}
}

func TestAReleaseWhoseNamesCannotBeListedIsRefused(t *testing.T) {
	f := newFleet(t, 1)
	f.files["two\nlines"] = ""
	ids, slots := f.ids(1)
	f.fails(deploy.Place{Release: 42, Instances: ids, Slots: slots}, "line break")
}
