//go:build linux

package hosts_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// assets answers what a host has in the folder of an instance, by path.
func (f *fleet) assets(host int, id string) map[string]string {
	f.Helper()
	found := make(map[string]string)
	root := f.on(host, "releases", id, "public")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, root+"/")] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Fatal(err)
	}
	return found
}

// ships places a release with these assets, and starts it nowhere.
func (f *fleet) ships(release, serial int, assets map[string]string) []string {
	f.Helper()
	f.of(release)
	for name := range f.files {
		if strings.HasPrefix(name, "public/") {
			delete(f.files, name)
		}
	}
	for name, content := range assets {
		f.files["public/"+name] = content
	}
	ids, slots := f.ids(serial)
	f.does(deploy.Place{Release: release, Instances: ids, Slots: slots})
	return ids
}

func TestEveryReleaseHasTheAssetsOfThoseBesideIt(t *testing.T) {
	f := newFleet(t, 2)
	f.definition.Assets = "public"
	f.Driver = f.open()
	first := map[string]string{"app-1.js": "one", "deep/a name.css": "blue", "logo.png": "old", "gone": "a file here"}
	old := f.ships(42, 1, first)
	for n, id := range old {
		if got := f.assets(n, id); !maps.Equal(got, first) {
			t.Errorf("alone it has %q", got)
		}
	}
	next := f.ships(43, 3, map[string]string{"app-2.js": "two", "logo.png": "new", "gone/for": "a folder now"})
	for n := range f.hosts {
		want := map[string]string{"app-1.js": "one", "app-2.js": "two", "deep/a name.css": "blue", "logo.png": "new", "gone/for": "a folder now"}
		if got := f.assets(n, next[n]); !maps.Equal(got, want) {
			t.Errorf("the newer one has %q, not %q", got, want)
		}
		want = map[string]string{"app-1.js": "one", "app-2.js": "two", "deep/a name.css": "blue", "logo.png": "old", "gone": "a file here"}
		if got := f.assets(n, old[n]); !maps.Equal(got, want) {
			t.Errorf("the older one has %q, not %q", got, want)
		}
		if inode(t, f.on(n, "releases", old[n], "public/app-2.js")) != inode(t, f.on(n, "releases", next[n], "public/app-2.js")) {
			t.Error("it was copied")
		}
	}
	third := f.ships(44, 5, map[string]string{"app-3.js": "three"}) // which gets each from the newest that has it
	want := map[string]string{
		"app-1.js": "one", "app-2.js": "two", "app-3.js": "three", "deep/a name.css": "blue", "logo.png": "new", "gone/for": "a folder now",
	}
	if got := f.assets(0, third[0]); !maps.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	f.does(deploy.Remove{Instances: third}) // given up
	if got := f.assets(0, next[0]); got["app-3.js"] != "" || got["app-1.js"] != "one" {
		t.Errorf("%q", got)
	}
	f.does(deploy.Remove{Instances: old}) // of which pages are open still
	if got := f.assets(1, next[1]); len(got) != 5 || got["app-1.js"] != "one" {
		t.Errorf("%q", got)
	}
	// The list of files that is compared is of a release's own ones: what came of others is not counted in.
	f.of(45)
	f.files["public/app-5.js"], f.files["public/app-1.js"], f.files["public/logo.png"] = "five", "one", "new"
	ids, slots := f.ids(7)
	receipt := f.does(deploy.Place{Release: 45, Instances: ids, Slots: slots})
	if receipt.Detail != "5 of 10 files changed" && receipt.Detail != "6 of 10 files changed" {
		t.Error(receipt.Detail) // release, settings.ini, app-5.js, app-3.js and app-1.js; and the one whose name some sha256sum writes otherwise
	}
}

func TestAssetsLeaveAloneWhatIsSomebodyElses(t *testing.T) {
	f := newFleet(t, 1, func(h *towpath.HostsTarget) { h.Shared = []string{"public/uploads"} })
	f.definition.Assets = "public"
	f.Driver = f.open()
	old := f.ships(42, 1, map[string]string{"app-1.js": "one"})[0]
	for name, content := range map[string]string{"shared/public/uploads/cat": "of a user", "releases/" + old + "/public/made": "at run time"} {
		if err := os.WriteFile(f.on(0, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := f.ships(43, 2, map[string]string{"made": "in the newer one", "uploads/seed": "of the newer one"})[0]
	if got := f.assets(0, old); got["made"] != "at run time" {
		t.Errorf("%q", got)
	}
	if got := f.read(0, "shared/public/uploads/cat"); got != "of a user" {
		t.Errorf("%q", got)
	}
	f.does(deploy.Remove{Instances: []string{next}})
	if got := f.assets(0, old); !slices.Contains(slices.Collect(maps.Keys(got)), "made") {
		t.Errorf("%q", got)
	}
}
