//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/crash"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// deathPatience is how long nobody may die while there is a place at which somebody should.
const deathPatience = time.Minute

// unreachable are the places that the story does not come to, with the reason: by their names, or by the function that they
// stand in.
func unreachable() map[string]string {
	const (
		elsewhere     = "it is carried out in the commit in which it arises, and never comes to the outbox"
		nobody        = "it is a wait, which nobody performs"
		person        = "a person's command line, which its person repeats"
		singleOnHosts = "the story has no hosts: TestASingleProcessNeverOverlapsOnHostsThoughAllThatLookAfterItAreKilled of target/hosts dies there"
		onHosts       = "the story has no hosts: TestAKeeperThatIsKilledLeavesWhatTheNextOneMends of target/hosts dies there"
	)
	return map[string]string{
		"place on hosts": onHosts, "flip hosts": onHosts, "start on hosts": onHosts, "stop on hosts": onHosts, "remove from hosts": onHosts,
		"start a single process on a host": singleOnHosts, "stop a single process on a host": singleOnHosts,
		"carry out EnqueueStep": elsewhere, "carry out RecordDeployment": elsewhere,
		"carry out StopStep": elsewhere, "carry out WakeKeeper": elsewhere,
		"perform Await": nobody, "perform AwaitPromotion": nobody, "perform StandBy": nobody, "perform Watch": nobody, "perform Hold": nobody,
		"perform Inspect":                   "it is done within Condemn",
		"app.Restore":                       person,
		"(*app.Restored).look":              person,
		"app.PrepareWorker":                 person,
		"(*web.Server).labelWorker":         person,
		"(*web.Server).noteVersion":         "only a worker of an older release, which does not say what it is, comes here",
		"(*access.Guard).RefusedWorker":     "a worker that keeps to its leases is refused nothing, and what is refused is refused again",
		"(*secret.Ring).Rotate":             person,
		"(*secret.Ring).Forget":             person,
		"(*web.Server).rotateKey":           person,
		"(*access.Secrets).Reseal":          "a rotation of the key by a person, which the next start finishes",
		"(*flow.Conductor).findHead":        "the forge of the story says hashes in full",
		"(*flow.Conductor).AllowChange":     "a person's go, in one commit; who was not answered gives it again",
		"(*flow.Conductor).fireSchedules":   "minutes pass between two of them: TestAScheduleFiresOnceThoughTheServerDiesAtIt has a clock that it moves",
		"(*flow.Conductor).StartNow":        "a person's word, in one commit; who was not answered says it again, and is told that it was said",
		"app.takeKey":                       person,
		"(*flow.Conductor).OpenErrand":      "a person's command, which its person repeats: TestACommandIsRunBesideALiveRelease kills beside one",
		"(*flow.Conductor).BeginErrand":     "of a person's command, which ends with its keeper, and is told of as lost",
		"(*flow.Conductor).EndErrand":       "of a person's command: its keeper tells again what was not heard",
		"proxy.identityOf":                  person,
		"(*web.Server).removeEnvironment":   "a person's wish, in one commit; who was not answered is told that it is under way",
		"(*web.Server).gone":                "a person's word, in one commit; who was not answered says it again, and is told that it was said",
		"(*web.Server).freezeProjectByForm": "the story freezes every environment of a name, which is the same commit",
		"(*web.Server).thawProjectByForm":   "the story freezes every environment of a name, which is the same commit",
		"(cli.credentials).save":            person,
		"(*demo.stage).write":               "the demo's own list of what it started",
		"(*flow.Conductor).complete":        "the story's settings have no commands; the same call is given the attempt again, and fetches anew",
		"perform Shorten":                   "the story has no name in DNS; an update of it holds only if the records are as they were read",
		"(process.assets).write":            "the story has no assets; whose a file is was written before anything is linked, and links are looked at anew each time",
		"(*flow.Conductor).noteCache":       "of an entry that nobody used for a minute, or whose bytes are gone: what is not noted is noted the next time",
	}
}

// unregistered make something lasting without a place of their own, for a reason.
func unregistered() map[string]string {
	const (
		person = "a person's command line, which its person repeats"
		ours   = "what calls it has the place"
		tests  = "it is no part of the binary: the hosts of tests"
	)
	return map[string]string{
		"(failpoint.Place).die": "it is what kills", "(*simulate.server).restore": "a server that is simulated", "durable.SyncFolder": ours, "process.rename": ours,
		"backup.writeFile": person, "app.settle": person, "(*cli.Console).backUp": person, "demo.bring": person,
		"fleet.build": tests, "apart.lockIn": tests,
		"process.link":                "a link that is not there is made when the next release is placed",
		"(*git.Mirror).keepLarge":     "a large file is fetched again where it is not there",
		"steplog.trimFile":            "it cuts what a crash left, and is done again by the next start",
		"(*keeper.journal).write":     "(*keeper.journal).append has the place; what is synced has happened all the same",
		"(*keeper.journal).open":      "the journal is put aside at 4 MB: a crash before or after leaves a journal under either name",
		"(supervise.output).putAside": "the log is put aside at a size: a crash before or after leaves it under either name",
		"(*worker.record).keepGroup":  "only where the kernel did not take the group that was reserved",
		"(*worker.bag).add":           "what is on its way out; each start empties the bag",
	}
}

// places are those of the whole binary at which somebody may die.
func places(t *testing.T) []crash.Point {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	module, err := crash.ReadModule(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range crash.Unregistered(module, unregistered()) {
		t.Errorf("nothing dies beside this, which makes something lasting: %s", without)
	}
	points, err := crash.Points(module)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// sides are those of every place that the story has to come to.
func sides(t *testing.T) []string {
	t.Helper()
	points := places(t)
	excused, all := unreachable(), []string{}
	used := map[string]bool{}
	for _, p := range points {
		switch {
		case strings.HasPrefix(p.Name, "commit simulate/"): // a world that is simulated, in one process that nobody relies on
		case excused[p.Name] != "":
			used[p.Name] = true
		case excused[p.In] != "":
			used[p.In] = true
		default:
			all = append(all, p.Sides()...)
		}
	}
	for name := range maps.Keys(excused) {
		if !used[name] {
			t.Errorf("there is no place %s any more, which is excused", name)
		}
	}
	return all
}

// openWorld is a world of its own, in which everything is killed.
func openWorld(t *testing.T, armed ...string) *crash.World {
	t.Helper()
	root, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	w, err := crash.Open(t.Context(), crash.Options{Folder: root, Towpath: towpath(), Application: application(), Armed: armed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	return w
}

// isOfStart says that a place is come to at the first start only.
func isOfStart(side string) bool {
	return slices.ContainsFunc([]string{"write access/", "write app/", "write keeper/keeper.go"}, func(begin string) bool {
		return strings.HasPrefix(side, begin)
	})
}

func TestWhoeverDiesOnEitherSideOfACommitOrAnEffectLosesAndDoublesNothing(t *testing.T) {
	all := sides(t)
	w := openWorld(t, slices.DeleteFunc(slices.Clone(all), func(side string) bool { return !isOfStart(side) })...)
	s, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Arm(slices.DeleteFunc(slices.Clone(all), isOfStart)...); err != nil {
		t.Fatal(err)
	}
	if left := dies(t, w); len(left) > 0 {
		t.Errorf("nobody died at these %d of %d places; the story has to come to them, or they need an excuse:\n%s",
			len(left), len(all), strings.Join(left, "\n"))
	}
	isFlawless(t, w, s)
}

// dies waits until somebody has died at every side that is armed, and answers those at which nobody has for too long.
func dies(t *testing.T, w *crash.World) (left []string) {
	t.Helper()
	fewest, since := -1, time.Now()
	for time.Since(since) < deathPatience {
		armed, err := w.Armed()
		if err != nil {
			t.Fatal(err)
		}
		if len(armed) == 0 {
			return nil
		}
		if fewest < 0 || len(armed) < fewest {
			fewest, since = len(armed), time.Now()
		}
		if err := cutsHooks(w, armed); err != nil {
			t.Fatal(err)
		}
		left = armed
		lets(50 * time.Millisecond)
	}
	return left
}

// cutsHooks has another keeper die while a hook runs, as long as nobody has died where a hook that was cut is told of: that
// is come to in no other way.
func cutsHooks(w *crash.World, armed []string) error {
	holds := func(side string) bool {
		return slices.ContainsFunc(armed, func(name string) bool { return strings.HasPrefix(name, failpoint.FileOf(side)) })
	}
	if !holds("perform LoseHook") || holds("run a hook") {
		return nil
	}
	return w.Arm("run a hook after")
}

// isFlawless lets a story rest, and judges it.
func isFlawless(t *testing.T, w *crash.World, s *crash.Story) {
	t.Helper()
	if err := errors.Join(w.Disarm(), s.Rest(t.Context())); err != nil {
		t.Error(err)
	}
	v, err := s.Judge(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, l := range v.Losses {
		t.Error(l)
	}
	kills := w.Deaths(crash.Proxy)
	if v.Refused > 0 || v.Failed > kills*crash.Clients {
		t.Errorf("%d requests of %d failed, %d were refused, with %d kills of the proxy", v.Failed, v.Asked, v.Refused, kills)
	}
	t.Logf("the server died %d times, the worker %d, the proxy %d; %d things were done, %d requests asked, %d failed; %d alerts, %d of them more than once",
		w.Deaths(crash.Server), w.Deaths(crash.Worker), kills, v.Acted, v.Asked, v.Failed, v.Alerts, v.Twice)
}
