package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// situation is an environment as people meet it, by what happened to it and what was seen last.
type situation struct {
	pipeline, name string
	definition     towpath.EnvironmentDefinition
	seen           towpath.Observation
	events         func(e towpath.Environment) []towpath.EnvironmentEvent
	errands        []towpath.Errand
}

// The releases of situations: 41 is live, 42 and 43 are newer.
var (
	release41 = towpath.ReleaseRef{Number: 41, Change: 41, Revision: "3f2c1aa9b0c43f2c1aa9b0c43f2c1aa9b0c43f2c", Title: "show what a parcel costs before it is ordered"}
	release42 = towpath.ReleaseRef{Number: 42, Change: 42, Revision: "9be07d4a11e29be07d4a11e29be07d4a11e29be0", Title: "faster checkout, with the cart kept in the browser until it is paid for"}
	release43 = towpath.ReleaseRef{Number: 43, Change: 43, Revision: "77c01d2f55aa77c01d2f55aa77c01d2f55aa77c0", Title: "mend the footer"}
)

// makes puts situations into the store, all of one project.
func (h *house) makes(all ...situation) {
	h.Helper()
	at := time.Now().Add(-50 * time.Hour)
	must(h.T, h.store.Update(h.Context(), func(tx *store.Tx) error {
		err := tx.CreateProject(towpath.Project{ID: "fleet", Name: "fleet", URL: "/nowhere", Paused: true, CreatedAt: at})
		known := map[string]bool{}
		for _, s := range all {
			if err == nil && !known[s.pipeline] {
				err = newPipeline(tx, s.pipeline, at)
			}
			known[s.pipeline] = true
			if err == nil {
				err = s.store(tx, at)
			}
		}
		return err
	}))
}

func newPipeline(tx *store.Tx, name string, at time.Time) error {
	if err := tx.ClaimPipeline(name, "fleet"); err != nil {
		return err
	}
	for n, ref := range []towpath.ReleaseRef{release41, release42, release43} {
		run := towpath.Run{
			ID: fmt.Sprintf("%s-%d", name, n), Project: "fleet", Pipeline: name, Number: ref.Change, State: towpath.RunPassed, CreatedAt: at, FinishedAt: at,
			Change: towpath.Change{Project: "fleet", Branch: "main", Revision: ref.Revision, Message: ref.Title, Author: "ana", Trusted: true, SeenAt: at},
		}
		if err := tx.CreateRun(run); err != nil {
			return err
		}
		err := tx.CreateRelease(towpath.Release{
			Project: "fleet", Pipeline: name, Number: ref.Number, Run: run.ID, Change: ref.Change, Revision: ref.Revision, Title: ref.Title, Author: "ana",
			CreatedAt: at,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// store lets happen what happened: release 41 goes live first.
func (s situation) store(tx *store.Tx, at time.Time) error {
	s.definition.Name = s.name
	e := towpath.NewEnvironment("fleet", s.pipeline, s.definition, at)
	first := towpath.Deployment{ID: s.pipeline + "-" + s.name + "-41", Release: release41, Cause: towpath.CauseRun, By: "ana", AllowedBy: "ana", AllowedFor: "it is the first"}
	events := []towpath.EnvironmentEvent{
		towpath.KeeperLeased{Worker: "w1", Holder: "w1", Expires: at.Add(1000 * time.Hour), At: at},
		towpath.DeploymentRequested{Deployment: first, At: at},
	}
	err := tx.CreateEnvironment(e)
	if err != nil {
		return err
	}
	if e, err = happens(tx, e, events...); err != nil {
		return err
	}
	if e, err = happens(tx, e, towpath.GoalReached{Epoch: e.Epoch, Deployment: first.ID, At: at.Add(14 * time.Second)}); err != nil {
		return err
	}
	if s.events != nil {
		if e, err = happens(tx, e, s.events(e)...); err != nil {
			return err
		}
	}
	if err := tx.SaveEnvironment(e, 1); err != nil {
		return err
	}
	for _, errand := range s.errands {
		errand.Epoch = e.Epoch
		if err := tx.SaveErrand(errand); err != nil {
			return err
		}
	}
	s.seen.At, s.seen.Epoch = time.Now(), e.Epoch
	return tx.SaveObservation(e.Key, s.seen)
}

func happens(tx *store.Tx, e towpath.Environment, events ...towpath.EnvironmentEvent) (towpath.Environment, error) {
	for _, event := range events {
		if err := e.Refuses(event); err != nil {
			return e, fmt.Errorf("%s, %T: %w", e.Key, event, err)
		}
		var effects []towpath.Effect
		e, effects = e.Next(event)
		for _, effect := range effects {
			if record, is := effect.(towpath.RecordDeployment); is {
				if err := tx.RecordDeployment(record.Deployment); err != nil {
					return e, err
				}
			}
		}
	}
	return e, nil
}

// wishes for a release, by a person.
func wishes(id string, of towpath.ReleaseRef, by string, ago time.Duration) towpath.DeploymentRequested {
	return towpath.DeploymentRequested{
		Deployment: towpath.Deployment{ID: id, Release: of, Cause: towpath.CauseManual, By: by, Reason: "customers wait for it"}, At: time.Now().Add(-ago),
	}
}

func runs(id string, release int, slot, address string, weight, requests int) towpath.Instance {
	return towpath.Instance{
		ID: id, Release: release, State: towpath.InstanceRunning, Slot: slot, Address: address, Health: towpath.HealthPassing,
		Traffic: towpath.Traffic{Known: true, Member: true, Weight: weight, Requests: requests}, Since: time.Now().Add(-time.Hour),
	}
}

// site is a definition with two processes behind the proxy, by a strategy.
func site(strategy towpath.StrategyDefinition) towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{
		Instances: 2, Minimum: 2, Target: towpath.TargetDefinition{Process: &towpath.ProcessTarget{Command: "./site"}}, Strategy: strategy,
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "shop.example"}}, Health: towpath.HealthDefinition{HTTP: "/healthz", Within: time.Minute},
		Drain: towpath.DrainDefinition{Requests: 30 * time.Second},
	}
}

func serving() towpath.Observation {
	return towpath.Observation{Address: "shop.example:80", Instances: []towpath.Instance{
		runs("r41-1", 41, "", "127.0.0.1:8001", 256, 3), runs("r41-2", 41, "", "127.0.0.1:8002", 256, 5),
	}}
}

var blueGreen = towpath.StrategyDefinition{Kind: towpath.StrategyBlueGreen, Standby: time.Hour}

// canaryAt is a canary at one of its steps: 5% for 10m, 25% until promoted, 50% for 10m.
func canaryAt(step int) situation {
	d := site(towpath.StrategyDefinition{Kind: towpath.StrategyCanary, Standby: time.Hour, Steps: []towpath.CanaryStep{
		{Share: 5, For: 10 * time.Minute}, {Share: 25, UntilPromoted: true}, {Share: 50, For: 10 * time.Minute},
	}})
	seen := serving()
	seen.Instances = append(seen.Instances, runs("r42-3", 42, "", "127.0.0.1:8003", 27, 1), runs("r42-4", 42, "", "127.0.0.1:8004", 27, 0))
	return situation{
		pipeline: "shop", name: fmt.Sprintf("canary-%d", step), definition: d, seen: seen,
		events: func(e towpath.Environment) []towpath.EnvironmentEvent {
			id := fmt.Sprintf("canary-%d", step)
			events := []towpath.EnvironmentEvent{wishes(id, release42, "ben", 20*time.Minute)}
			for n := range step + 1 {
				events = append(events, towpath.StepBegan{Epoch: e.Epoch, Deployment: id, Step: n, At: time.Now().Add(time.Duration(n-step-3) * time.Minute)})
			}
			return events
		},
	}
}

// fiveHosts is a rolling update of which two hosts are done and one does not answer.
func fiveHosts() situation {
	hosts := &towpath.HostsTarget{Path: "/srv/shop", Port: 8080, Restart: "sudo systemctl restart shop", Keep: 3}
	seen := towpath.Observation{Address: "lb1.example:80"}
	for n := 1; n <= 5; n++ {
		name := fmt.Sprintf("web%d", n)
		hosts.Hosts = append(hosts.Hosts, towpath.Host{Name: name})
		slot := towpath.Slot{Name: name, Host: name, Address: name + ":8080"}
		i := runs(fmt.Sprintf("r41-%d", n), 41, name, name+":8080", 256, n)
		if n < 3 {
			i = runs(fmt.Sprintf("r42-%d", n+5), 42, name, name+":8080", 256, n)
		}
		if n == 3 {
			slot.Problem = "ssh web3: dial tcp 10.0.0.3:22: connect: no route to host"
			i.State, i.Health, i.Problem, i.Traffic.Weight, i.Traffic.Requests = towpath.InstanceUnknown, towpath.HealthFailing, slot.Problem, 0, 0
		}
		seen.Instances, seen.Slots = append(seen.Instances, i), append(seen.Slots, slot)
	}
	d := site(towpath.StrategyDefinition{Kind: towpath.StrategyRolling, Batch: 1})
	d.Instances, d.Minimum, d.Target = 5, 3, towpath.TargetDefinition{Hosts: hosts}
	return situation{pipeline: "shop", name: "five-hosts", definition: d, seen: seen, events: func(towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{wishes("rolling", release42, "ben", 4*time.Minute)}
	}}
}

// withProcesses has processes beside each instance and single ones, of which some do not run.
func withProcesses() situation {
	d := site(blueGreen)
	d.Processes = []towpath.ProcessDefinition{{Name: "jobs", Command: "./jobs"}, {Name: "clock", Command: "./clock", Single: true}, {Name: "mails", Command: "./mails", Single: true}}
	seen := serving()
	for i := range seen.Instances {
		seen.Instances[i].Processes = []towpath.Process{{Name: "jobs", State: towpath.InstanceRunning, Since: time.Now()}}
	}
	seen.Instances[1].Processes[0] = towpath.Process{
		Name: "jobs", State: towpath.InstanceFailing, Problem: "it ended with exit code 1, and is started again", Since: time.Now(),
		Log: []string{"connecting to amqp://queue.internal.example:5672/with/a/very/long/path/that/has/no/place/to/break", "panic: dial tcp: lookup queue.internal.example: no such host"},
	}
	seen.Singles = []towpath.Single{
		{Process: "clock", Instance: "r41-1", State: towpath.InstanceRunning, Since: time.Now()},
		{Process: "mails", Instance: "r41-2", State: towpath.InstanceStopped, Problem: "it was stopped", Since: time.Now()},
	}
	return situation{pipeline: "shop", name: "processes", definition: d, seen: seen, errands: ran("shop/processes")}
}

// queued has one deployment under way and three that wait.
func queued() situation {
	return situation{pipeline: "shop", name: "staging", definition: site(blueGreen), seen: serving(), events: func(towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{
			wishes("q1", release42, "ben", 6*time.Minute), wishes("q2", release43, "ana", 5*time.Minute),
			wishes("q3", release41, "cleo-with-a-long-name", 4*time.Minute), wishes("q4", release42, "ben", 3*time.Minute),
		}
	}}
}

// closed waits for a window that opens tomorrow.
func closed() situation {
	d := site(blueGreen)
	tomorrow := time.Now().Add(24 * time.Hour)
	d.Windows = []towpath.Window{{Days: []time.Weekday{tomorrow.UTC().Weekday()}, From: 9 * 60, To: 12 * 60, Zone: "Europe/Berlin"}}
	return situation{pipeline: "shop", name: "windows", definition: d, seen: serving(), events: func(towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{wishes("w1", release42, "ben", time.Hour), wishes("w2", release43, "ana", time.Minute)}
	}}
}

// wentBack is pinned, and frozen beside that.
func wentBack() situation {
	return situation{pipeline: "shop", name: "production", definition: site(blueGreen), seen: serving(), events: func(e towpath.Environment) []towpath.EnvironmentEvent {
		long := strings.Repeat("carts are empty after the payment; ", 4)
		return []towpath.EnvironmentEvent{
			wishes("p1", release42, "ben", 3*time.Hour),
			towpath.GoalReached{Epoch: e.Epoch, Deployment: "p1", At: time.Now().Add(-3*time.Hour + 8*time.Second)},
			towpath.RollbackRequested{ID: "p2", By: "ana", Reason: long, At: time.Now().Add(-2 * time.Hour)},
			towpath.GoalReached{Epoch: e.Epoch, Deployment: "p2", At: time.Now().Add(-2*time.Hour + 60*time.Millisecond)},
			towpath.Frozen{By: "cleo", Reason: "the audit", Until: time.Now().Add(30 * time.Hour), At: time.Now().Add(-time.Hour)},
		}
	}}
}

// goesBack failed its watch a moment ago.
func goesBack() situation {
	return situation{pipeline: "shop", name: "returning", definition: site(blueGreen), seen: serving(), events: func(e towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{
			wishes("b1", release42, "ben", 10*time.Minute),
			towpath.GoalFailed{Epoch: e.Epoch, Deployment: "b1", Reason: "release 42 answered 4.1% errors over 2m (limit 1%, release 41: 0.02%, 8,312 requests compared)", At: time.Now().Add(-time.Minute)},
		}
	}}
}

// stuck could not even go back.
func stuck() situation {
	return situation{pipeline: "shop", name: "stuck", definition: site(blueGreen), seen: serving(), events: func(e towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{
			wishes("h1", release42, "ben", 10*time.Minute),
			towpath.GoalFailed{Epoch: e.Epoch, Deployment: "h1", Reason: "start r42-3: no space left on device", At: time.Now().Add(-2 * time.Minute)},
			towpath.GoalFailed{Epoch: e.Epoch, Deployment: "h1", Returning: true, Reason: "shift: the proxy does not answer on /run/towpath/proxy.sock", At: time.Now().Add(-time.Minute)},
		}
	}}
}

// ran are commands of people, of which one goes on.
func ran(environment string) []towpath.Errand {
	at := time.Now().Add(-time.Hour)
	made := func(n, code int, outcome string, command ...string) towpath.Errand {
		return towpath.Errand{
			ID: fmt.Sprintf("x%d", n), Environment: environment, Instance: "r41-1", Release: 41, Command: command, By: "ana", Reason: "orders of the weekend",
			Within: 24 * time.Hour, State: towpath.ErrandEnded, RequestedAt: at.Add(time.Duration(n) * time.Minute),
			BeganAt: at.Add(time.Duration(n) * time.Minute), EndedAt: at.Add(time.Duration(n)*time.Minute + 2300*time.Millisecond), ExitCode: code, Outcome: outcome,
		}
	}
	open := made(4, -1, "", "psql")
	open.State, open.EndedAt = towpath.ErrandRunning, time.Time{}
	return []towpath.Errand{
		made(1, 0, "exited with status 0", "./manage.py", "migrate", "--check"), made(2, 1, "exited with status 1", "sh", "-c", "echo it's "+strings.Repeat("long ", 30)),
		made(3, -1, "its keeper is gone, and the command ends with it", "sleep", "600"), open,
	}
}

// abandoned has no keeper.
func abandoned() situation {
	return situation{pipeline: "shop", name: "abandoned", definition: site(blueGreen), seen: serving(), events: func(towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{towpath.KeeperLeft{Worker: "w1", At: time.Now().Add(-40 * time.Minute)}}
	}}
}

// upgraded went from release 41 to 42 and to 43, and both that were before stand by.
func upgraded() situation {
	seen := serving()
	for i := range seen.Instances {
		seen.Instances[i].Traffic.Weight = 0
	}
	seen.Instances = append(seen.Instances, runs("r42-3", 42, "", "127.0.0.1:8003", 0, 0), runs("r42-4", 42, "", "127.0.0.1:8004", 0, 0),
		runs("r43-5", 43, "", "127.0.0.1:8005", 256, 0), runs("r43-6", 43, "", "127.0.0.1:8006", 256, 0))
	return situation{pipeline: "shop", name: "upgraded", definition: site(blueGreen), seen: seen, events: func(e towpath.Environment) []towpath.EnvironmentEvent {
		return []towpath.EnvironmentEvent{
			wishes("u42", release42, "ben", 20*time.Minute),
			towpath.GoalReached{Epoch: e.Epoch, Deployment: "u42", At: time.Now().Add(-19 * time.Minute)},
			wishes("u43", release43, "ben", 10*time.Minute),
			towpath.GoalReached{Epoch: e.Epoch, Deployment: "u43", At: time.Now().Add(-9 * time.Minute)},
		}
	}}
}

// did notes that an operation of a deployment took so long.
func (h *house) did(deployment, operation string, took time.Duration) {
	h.Helper()
	began := time.Now().Add(-10 * time.Minute)
	must(h.T, h.store.Update(h.Context(), func(tx *store.Tx) error {
		return tx.AddToJournal(towpath.JournalEntry{Deployment: deployment, Operation: operation + ": it is proved healthy", Began: began, Ended: began.Add(took)})
	}))
}

// situations are all of them.
func situations() []situation {
	return []situation{canaryAt(0), canaryAt(1), canaryAt(2), fiveHosts(), withProcesses(), queued(), closed(), wentBack(), goesBack(), stuck(), abandoned(), upgraded()}
}

// told keeps what is told of a deployment afterwards.
func (h *house) told(id string) {
	h.Helper()
	at := time.Now().Add(-3 * time.Hour)
	must(h.T, h.store.Update(h.Context(), func(tx *store.Tx) error {
		err := tx.SaveChronicle(towpath.Chronicle{
			Deployment: id, Operations: 6, Plan: "shop/production   live: release 41 (3f2c1aa, 2 days)   goal: release 42 (9be07d4)\nstrategy blue-green, 2 instances, target process, balancer proxy\n\n  1  check      room for release 42\n  2  place      release 42: 2 instances\n  3  start      release 42, wait for /healthz (60s)\n  4  shift      release 41 100% → 0%, release 42 0% → 100%    2 of 2 healthy serve throughout\n  5  drain      release 41 until idle, at most 30s\n  6  stand by   release 41 for 1h, then stop\n\ndowntime: none. way back: one shift to release 41, for 1h. schema: none. destroys: nothing.\n",
			Settings: []towpath.Setting{
				{Name: "Strategy.Standby", Before: "10m0s", After: "1h0m0s", How: "changed"},
				{Name: "env CHECKOUT_MODE", How: "added"},
				{Name: "Health.HTTP", Before: "/", After: "/healthz?deep=1&with=everything-that-there-is-to-be-asked-about-the-database-and-the-queue", How: "changed"},
			},
			Commits: &towpath.Commits{Added: []towpath.Commit{
				{Revision: release42.Revision, Title: release42.Title, Author: "ben", At: at},
				{Revision: release41.Revision, Title: "a title without any place to break: " + strings.Repeat("x", 90), Author: "ana", At: at.Add(-30 * time.Hour)},
			}, Removed: []towpath.Commit{{Revision: release43.Revision, Title: "a change that was taken back", Author: "cleo", At: at.Add(-60 * time.Hour)}}, More: true},
		})
		for n, o := range []string{"place r42-3, r42-4: they are not there", "start r42-3: it does not run", "shift: release 42 is proved healthy"} {
			entry := towpath.JournalEntry{Deployment: id, Operation: o, Began: at.Add(time.Duration(n) * time.Second), Ended: at.Add(time.Duration(n)*time.Second + 840*time.Millisecond)}
			if n == 1 {
				entry.Problem = "/healthz answered 503 Service Unavailable: the database has no table cart_v2"
			}
			if err == nil {
				err = tx.AddToJournal(entry)
			}
		}
		return err
	}))
}

func TestEverySituationCanBeReadAndUsedOnAPhoneAndOnADesk(t *testing.T) {
	h := newHouse(t)
	h.makes(situations()...)
	h.told("p1")
	boss := h.person("boss", "administrator", "")
	b := h.browser()
	b.signsIn(boss)
	paths := []string{"/environments", "/environments/shop/production/deployments/p1", "/environments/shop/staging?release=43"}
	for _, s := range situations() {
		paths = append(paths, "/environments/"+s.pipeline+"/"+s.name)
	}
	for _, path := range paths {
		b.fitsEverywhere(path)
	}
	b.hasNoComplaints()
}
