package confine

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The texts are those of proc_pid_mountinfo(5) and cgroups(7), as a machine with both versions, one with systemd and
// version 2 only, and a container have them.
const (
	mixedMounts = `31 23 0:27 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 31 0:30 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
35 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mixedGroups   = "9:name=systemd:/\n8:pids:/\n4:memory:/job/7\n1:cpu,cpuacct:/\n0::/\n"
	unifiedMounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	boxedMounts   = "30 23 0:26 /docker/1a2b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
)

func TestGroupsAreFoundWhereTheyAreMounted(t *testing.T) {
	got := controllersOf1(mixedGroups, mixedMounts)
	want := map[string]string{
		"memory": "/sys/fs/cgroup/memory/job/7", "pids": "/sys/fs/cgroup/pids", "cpu": "/sys/fs/cgroup/cpu,cpuacct",
	}
	if !maps.Equal(got, want) {
		t.Errorf("version 1: %v", got)
	}
	const unit = "0::/system.slice/towpath-worker.service\n"
	if got := controllersOf1(unit, unifiedMounts); len(got) > 0 {
		t.Errorf("version 1 where there is none: %v", got)
	}
	if dir, ok := folderOf2(unit, unifiedMounts); !ok || dir != "/sys/fs/cgroup/system.slice/towpath-worker.service" {
		t.Errorf("version 2: %s, %t", dir, ok)
	}
	if dir, ok := folderIn(boxedMounts, "cgroup", "memory", "/docker/1a2b/inner"); !ok || dir != "/sys/fs/cgroup/memory/inner" {
		t.Errorf("in a container: %s, %t", dir, ok)
	}
	if dir, ok := folderIn(boxedMounts, "cgroup", "memory", "/elsewhere"); ok {
		t.Errorf("what the container does not see is said to be at %s", dir)
	}
}

// TestRoomIsMadeInVersion2 has a folder with the kernel's files, which do not do what the kernel's do.
func TestRoomIsMadeInVersion2(t *testing.T) {
	own := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(own, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cgroup.controllers", "cpuset cpu io memory hugetlb")
	write("cgroup.subtree_control", "")
	if _, err := delegate(own); err == nil || !strings.Contains(err.Error(), "pids is not offered") {
		t.Errorf("without a controller: %v", err)
	}
	write("cgroup.controllers", "cpuset cpu io memory hugetlb pids")
	for _, from := range []string{own, filepath.Join(own, ownLeaf)} {
		parent, err := delegate(from)
		text, _ := os.ReadFile(filepath.Join(own, "cgroup.subtree_control"))
		if err != nil || parent != own || string(text) != "+memory +pids +cpu" {
			t.Errorf("from %s: %s, %v, %q", from, parent, err, text)
		}
	}
}

func TestACellHasItsLimitsAndIsGone(t *testing.T) {
	cells, err := OpenCells("test-"+filepath.Base(t.TempDir())+filepath.Base(filepath.Dir(t.TempDir())), Limits{Memory: 64 << 20, CPUs: 1.5, Processes: 7})
	if err != nil {
		t.Fatalf("this story needs root, and control groups: %v", err)
	}
	g, err := cells.Make("one")
	if err != nil {
		t.Fatal(err)
	}
	if met := g.Met(); met != (Met{}) {
		t.Errorf("it is said to be full: %+v", met)
	}
	files := map[string]string{"pids/pids.max": "7", "memory/memory.limit_in_bytes": "67108864", "cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.shares": "335"}
	if g.Dir != "" {
		files = map[string]string{"/pids.max": "7", "/memory.max": "67108864", "/cpu.max": "150000 100000", "/cpu.weight": "33"}
	}
	for name, want := range files {
		controller, file, _ := strings.Cut(name, "/")
		text, err := os.ReadFile(filepath.Join(g.folders[controller], file))
		if err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s is %q, %v; want %s", name, text, err, want)
		}
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range g.folders {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

func TestARangeOfUsersIsReadAsItIsWritten(t *testing.T) {
	var u Users
	if err := u.UnmarshalText([]byte(DefaultUsers().String())); err != nil || u != DefaultUsers() || u.Count() != 256 {
		t.Errorf("%v, %v", u, err)
	}
	for _, wrong := range []string{"", "200000", "0-10", "5000-4000", "a-b", "200000-99999999999"} {
		if err := u.UnmarshalText([]byte(wrong)); err == nil {
			t.Errorf("%q is read as %v", wrong, u)
		}
	}
}
