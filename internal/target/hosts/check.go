package hosts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// spareBytes is what has to stay free on a host's disk beside the release.
const spareBytes = 32 << 20

// check sees on the hosts of the named slots, all at once, that the release can run there, and tells all that is wrong. It asks
// all hosts where no slots are named.
func (d *Driver) check(ctx context.Context, o deploy.Order, operation deploy.Check) (deploy.Receipt, error) {
	var mutex sync.Mutex
	free := int64(1) << 62
	err := d.everywhere(d.with(operation.Slots), func(m *machine) error {
		bytes, err := d.checkOne(ctx, m, o)
		mutex.Lock()
		defer mutex.Unlock()
		free = min(free, bytes)
		return err
	})
	if err != nil {
		return deploy.Receipt{}, err
	}
	return deploy.Receipt{Detail: fmt.Sprintf("%d MiB free on each host", free>>20)}, nil
}

// with answers the machines that have the slots, all of them where none is named.
func (d *Driver) with(slots []string) []*machine {
	if len(slots) == 0 {
		return d.machines
	}
	return slices.DeleteFunc(slices.Clone(d.machines), func(m *machine) bool {
		return !slices.ContainsFunc(d.slots, func(s slot) bool { return s.machine == m && slices.Contains(slots, s.Name) })
	})
}

func (d *Driver) slotsOn(m *machine) (count int) {
	for _, s := range d.slots {
		if s.machine == m {
			count++
		}
	}
	return count
}

// checkOne answers how much is free on a host.
func (d *Driver) checkOne(ctx context.Context, m *machine, o deploy.Order) (free int64, err error) {
	v := variables{"TW_WHAT": "check", "TW_ASSETS": d.options.Definition.Assets, "TW_N": "0", "TW_P": strconv.Itoa(len(d.options.Definition.Processes)), "TW_REQUIRES": strconv.Itoa(len(d.definition.Requires))}
	for n, script := range d.definition.Requires {
		v[fmt.Sprintf("TW_REQUIRE_%d", n+1)] = script
	}
	v["TW_ENV"] = d.environ(o.Release, seat{slot: slot{machine: m}})
	said, err := m.ask(ctx, scriptCheck, v, nil)
	if err != nil {
		return 0, err
	}
	var wrong, log []string
	for _, w := range said {
		switch w.is {
		case "lacks":
			wrong = append(wrong, "lacks "+w.at(0))
		case "log":
			log = append(log, m.name+": "+w.at(0))
		case "free":
			kilobytes, _ := strconv.ParseInt(w.at(0), 10, 64)
			free = kilobytes << 10
		case "runs":
			wrong = append(wrong, d.checkPlatform(o.Release, platformOf(w.at(0), w.at(1)))...)
		}
	}
	if len(wrong) > 0 {
		return free, &deploy.Permanent{Err: fmt.Errorf("%s: %s", m.name, strings.Join(wrong, "; ")), Log: log}
	}
	if needed := sizeOf(o.Release)*int64(d.slotsOn(m)) + spareBytes; free < needed {
		return free, &deploy.Retryable{Err: fmt.Errorf("%s: %d MiB are needed in %s, and %d MiB are free", m.name, needed>>20, m.path, free>>20)}
	}
	return free, nil
}

func sizeOf(r towpath.Release) (size int64) {
	for _, a := range r.Artifacts {
		size += a.Size
	}
	return size
}

// checkPlatform sees that what was built runs on a host.
func (d *Driver) checkPlatform(r towpath.Release, here string) (wrong []string) {
	if wanted := d.options.Definition.Platform; wanted != "" && wanted != here {
		wrong = append(wrong, fmt.Sprintf("is %s, and the environment is for %s", here, wanted))
	}
	for _, a := range r.Artifacts {
		if a.Platform != "" && a.Platform != "any" && a.Platform != here {
			wrong = append(wrong, fmt.Sprintf("is %s, and the artifact of step %q was built on %s "+
				"(say `platform: any` on the step if it can run there)", here, a.Step, a.Platform))
		}
	}
	return wrong
}

// platformOf turns what uname says into the words that we use.
func platformOf(system, machine string) string {
	words := map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv6l": "arm", "armv7l": "arm",
		"amd64": "amd64", "arm64": "arm64",
	}
	if word, is := words[machine]; is {
		machine = word
	}
	return strings.ToLower(system) + "/" + machine
}
