//go:build linux

package hosts_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

// slowStop lets an application go on for a while after it was asked to end.
const slowStop = `
pid=$TOWPATH_PATH/pid.$PORT
[ -f "$pid" ] || exit 0
read -r old <"$pid"; rm "$pid"
setsid sh -c "sleep 1; kill -9 $old" </dev/null >/dev/null 2>&1 &`

func TestHostsWhoseClocksAreADayAheadAndADayBehindAreAsTheOthers(t *testing.T) {
	f := newFleet(t, 3)
	f.hosts[1].SetClock("+1 day")
	f.hosts[2].SetClock("-1 day")
	began := time.Now()
	f.deploys(42, 1)
	f.deploys(43, 4)
	f.serveOnly(43)
	f.areSince(began)

	// The clocks are set while releases run: those have not run for longer, nor begun tomorrow.
	f.hosts[0].SetClock("+1 day")
	f.hosts[1].SetClock("-1 day")
	f.hosts[2].SetClock("+1 day")
	f.areSince(began)
	f.deploys(44, 7)
	f.serveOnly(44)
	f.areSince(began)
}

// areSince checks since when instances run, which decides when one is given up.
func (f *fleet) areSince(began time.Time) {
	f.Helper()
	for _, i := range f.observes().Instances {
		if early, late := began.Add(-2*time.Second), time.Now(); i.State == towpath.InstanceRunning && (i.Since.Before(early) || i.Since.After(late)) {
			f.Errorf("%s is %s since %s, and not between %s and %s", i.ID, i.State, i.Since, early, late)
		}
	}
}

func TestAClockThatJumpsShortensAndLengthensNoWait(t *testing.T) {
	f := newFleet(t, 1)
	f.definition.Target.Hosts.Stop = slowStop
	f.Driver = f.open()
	f.deploys(42, 1)
	f.hosts[0].SetClock("+0 day", "+1 day", "-1 day")
	f.deploys(43, 2) // which waits for the port
	f.deploys(44, 3)
	f.serveOnly(44)
}
