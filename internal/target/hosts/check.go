package hosts

import (
	"context"
	"errors"
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

// check sees on every host at once that the release can run there, and tells all that is wrong. A host that does not answer
// is no hindrance while enough others do.
func (d *Driver) check(ctx context.Context, o deploy.Order, operation deploy.Check) (deploy.Receipt, error) {
	var mutex sync.Mutex
	var away []string
	room := len(d.slots)
	free := int64(1) << 62
	err := d.everywhere(d.machines, func(m *machine) error {
		bytes, err := d.checkOne(ctx, m, o)
		mutex.Lock()
		defer mutex.Unlock()
		if isAway(err) {
			away = append(away, err.Error())
			room -= d.slotsOn(m)
			return nil
		}
		free = min(free, bytes)
		return err
	})
	slices.Sort(away)
	if room < operation.Instances {
		err = joined([]error{err, &deploy.Retryable{Err: fmt.Errorf("there is room for %d of %d instances: %s",
			room, operation.Instances, strings.Join(away, "; "))}})
	}
	if err != nil {
		return deploy.Receipt{}, err
	}
	detail := fmt.Sprintf("%d MiB free on each host", free>>20)
	if len(away) > 0 {
		detail += "; not there: " + strings.Join(away, "; ")
	}
	return deploy.Receipt{Detail: detail}, nil
}

// isAway says that a host could not be reached, and may be later.
func isAway(err error) bool {
	var again *awayError
	return errors.As(err, &again)
}

// awayError is a host that did not answer.
type awayError struct{ error }

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
	v := variables{"TW_WHAT": "check", "TW_N": "0", "TW_REQUIRES": strconv.Itoa(len(d.definition.Requires))}
	for n, script := range d.definition.Requires {
		v[fmt.Sprintf("TW_REQUIRE_%d", n+1)] = script
	}
	v["TW_ENV"] = d.environ(o.Release, seat{slot: slot{machine: m}})
	said, err := m.ask(ctx, scriptCheck, v, nil)
	if gradeOf(err) == gradeRetryable && !m.remote.IsConnected() {
		return 0, &awayError{err}
	}
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
