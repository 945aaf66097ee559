//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
	"github.com/towpath-cd/towpath/internal/target/process"
)

// The test binary plays the supervisor and the instances as well.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "supervise":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
		exit(supervise.Run(ctx, supervise.Options{Dir: os.Args[2], Logger: logger}))
	case "leash":
		within, err := time.ParseDuration(os.Args[3])
		exit(errors.Join(err, proc.Leash(os.Stdin, os.Args[2], within)))
	case "app":
		exit(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(serve)))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers as the file "mood" says: nothing at all where it is "hang". The file "asked" grows with each request.
func serve(w http.ResponseWriter, r *http.Request) {
	if asked, err := os.OpenFile("asked", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		_, _ = asked.WriteString(".")
		_ = asked.Close()
	}
	mood, _ := os.ReadFile("mood")
	switch {
	case string(mood) == "hang":
		<-r.Context().Done()
	case string(mood) == "ill":
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/release":
		fmt.Fprint(w, os.Getenv("TOWPATH_RELEASE"))
	case r.URL.Path == "/other-release":
		fmt.Fprint(w, "41")
	}
}

// machine is one with an environment that a driver was opened for.
type machine struct {
	*testing.T
	*process.Driver
	root    string // the environment's folder
	epoch   towpath.Epoch
	release towpath.Release
}

func definition(health towpath.HealthDefinition) towpath.EnvironmentDefinition {
	health.Interval, health.Timeout = 20*time.Millisecond, 500*time.Millisecond
	return towpath.EnvironmentDefinition{
		Name: "production", Health: health,
		Target: towpath.TargetDefinition{Process: &towpath.ProcessTarget{
			Command: `exec "$APP" app`, Stop: towpath.StopDefinition{Signal: "TERM", Within: time.Second},
		}},
	}
}

func newMachine(t *testing.T, d towpath.EnvironmentDefinition) *machine {
	t.Helper()
	dataDir := t.TempDir()
	m := &machine{
		T: t, root: filepath.Join(dataDir, "instances", "shop", "production"),
		epoch: towpath.Epoch{Number: 3, Holder: "keeper"},
		release: towpath.Release{Number: 42, Env: map[string]map[string]string{
			"production": {"APP": os.Args[0]},
		}},
	}
	var err error
	m.Driver, err = process.New(process.Options{
		Environment: "shop/production", Definition: d, DataDir: dataDir, Supervise: []string{os.Args[0], "supervise"},
		Leash: []string{os.Args[0], "leash"}, Secrets: map[string]string{"TOKEN": "$ecret s"}, Files: layOut, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.clear)
	return m
}

func layOut(_ context.Context, _ towpath.Release, folder string) error {
	return os.WriteFile(filepath.Join(folder, "mood"), []byte("well"), 0o600)
}

func (m *machine) clear() {
	if err := m.Close(); err != nil {
		m.Error(err)
	}
	last := supervise.Epoch{Number: 1 << 40, Holder: "clear"}
	orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
	for _, e := range m.entries() {
		if _, err := orders.Stop(context.Background(), e.Dir, last); err != nil {
			m.Error(err)
		}
	}
	m.until("no supervisor writes any more", func() bool {
		return !slices.ContainsFunc(m.entries(), func(e supervise.Entry) bool { return e.Supervised })
	})
}

// entries are all that is supervised, or was.
func (m *machine) entries() (all []supervise.Entry) {
	for _, folder := range []string{"run", "beside", "single"} {
		entries, _ := supervise.List(filepath.Join(m.root, folder))
		all = append(all, entries...)
	}
	return all
}

func (m *machine) do(o deploy.Operation) error {
	_, err := m.Do(m.Context(), deploy.Order{Epoch: m.epoch, Operation: o, Release: m.release})
	return err
}

func (m *machine) does(o deploy.Operation) {
	m.Helper()
	if err := m.do(o); err != nil {
		m.Fatalf("%s: %v", o, err)
	}
}

// runs brings an instance up and proves it healthy.
func (m *machine) runs(id string) {
	m.Helper()
	m.does(deploy.Check{Release: 42, Instances: 1})
	m.does(deploy.Place{Release: 42, Instances: []string{id}})
	m.does(deploy.Start{Instances: []string{id}})
	m.does(deploy.Probe{Instances: []string{id}, Within: 20 * time.Second})
}

func (m *machine) sees(id string) towpath.Instance {
	m.Helper()
	seen, err := m.Observe(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	for _, i := range seen.Instances {
		if i.ID == id {
			return i
		}
	}
	return towpath.Instance{}
}

func (m *machine) mood(id, mood string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.root, "files", id, "mood"), []byte(mood), 0o600); err != nil {
		m.Fatal(err)
	}
}

// asked counts the requests that an instance had.
func (m *machine) asked(id string) int {
	content, _ := os.ReadFile(filepath.Join(m.root, "files", id, "asked"))
	return len(content)
}

func (m *machine) until(what string, holds func() bool) {
	m.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			m.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func TestAnInstanceGoesThroughItsStatesAndLeavesNothing(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{HTTP: "/", Release: "/release", Rises: 3}))
	m.does(deploy.Place{Release: 42, Instances: []string{"r42-1"}})
	if i := m.sees("r42-1"); i.State != towpath.InstancePlaced || i.Release != 42 {
		t.Errorf("%+v", i)
	}
	m.runs("r42-1") // every order can be given again
	if i := m.sees("r42-1"); i.State != towpath.InstanceRunning || i.Health != towpath.HealthPassing || i.Address == "" {
		t.Errorf("%+v", i)
	}
	if m.do(deploy.Remove{Instances: []string{"r42-1"}}) == nil {
		t.Error("what runs was removed")
	}
	m.does(deploy.Stop{Instances: []string{"r42-1"}})
	if i := m.sees("r42-1"); i.State != towpath.InstanceStopped {
		t.Errorf("%+v", i)
	}
	m.does(deploy.Stop{Instances: []string{"r42-1"}})
	m.does(deploy.Remove{Instances: []string{"r42-1"}})
	m.does(deploy.Remove{Instances: []string{"r42-1"}})
	if i := m.sees("r42-1"); i.ID != "" {
		t.Errorf("%+v", i)
	}
	for _, folder := range []string{"files", "run", "tmp"} {
		if left, _ := os.ReadDir(filepath.Join(m.root, folder)); len(left) > 0 {
			t.Errorf("%v is left in %s", left, folder)
		}
	}
	seen, err := m.Observe(t.Context())
	if err != nil || seen.Epoch != m.epoch {
		t.Errorf("without instances the epoch is %s, %v", seen.Epoch, err)
	}
}

func TestAnInstanceHasTemporaryFilesOfItsOwn(t *testing.T) {
	d := definition(towpath.HealthDefinition{})
	d.Target.Process.Command = `echo "$TOWPATH_INSTANCE" >"$TMPDIR/whose"; exec "$APP" app`
	m := newMachine(t, d)
	for _, id := range []string{"r42-1", "r42-2"} {
		m.runs(id)
		if whose, err := os.ReadFile(filepath.Join(m.root, "tmp", id, "whose")); err != nil || string(whose) != id+"\n" {
			t.Errorf("%s: %q, %v", id, whose, err)
		}
	}
}

func TestEveryKindOfProbeTellsTheLastAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		health towpath.HealthDefinition
		mood   string
		told   string // empty where it passes
	}{
		"http":              {towpath.HealthDefinition{HTTP: "/"}, "well", ""},
		"http, ill":         {towpath.HealthDefinition{HTTP: "/"}, "ill", "GET / answered 500"},
		"tcp":               {towpath.HealthDefinition{TCP: true}, "hang", ""},
		"command":           {towpath.HealthDefinition{Command: `test -n "$PORT"`}, "well", ""},
		"command that says": {towpath.HealthDefinition{Command: `echo too hot; exit 3`}, "well", "status 3: too hot"},
		"release":           {towpath.HealthDefinition{HTTP: "/", Release: "/release"}, "well", ""},
		"wrong release":     {towpath.HealthDefinition{HTTP: "/", Release: "/other-release"}, "well", `"41"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, definition(c.health))
			m.does(deploy.Place{Release: 42, Instances: []string{"r42-1"}})
			m.mood("r42-1", c.mood)
			m.does(deploy.Start{Instances: []string{"r42-1"}})
			within := 20 * time.Second
			if c.told != "" {
				within = 500 * time.Millisecond
			}
			err := m.do(deploy.Probe{Instances: []string{"r42-1"}, Within: within})
			var permanent *deploy.Permanent
			switch {
			case c.told == "" && err != nil:
				t.Error(err)
			case c.told != "" && (!errors.As(err, &permanent) || !strings.Contains(err.Error(), c.told)):
				t.Errorf("%v does not tell %q", err, c.told)
			}
		})
	}
}

func TestWhatPassesIsProbedWhileNobodyLooksAndALookFindsItsVerdict(t *testing.T) {
	d := definition(towpath.HealthDefinition{HTTP: "/"})
	d.Balancer.Proxy = &towpath.ProxyBalancer{Host: "*"}
	m := newMachine(t, d)
	m.runs("r42-1")
	before := m.asked("r42-1")
	m.until("it was probed three times", func() bool { return m.asked("r42-1") >= before+3 })
	before = m.asked("r42-1")
	if i := m.sees("r42-1"); i.Health != towpath.HealthPassing || m.asked("r42-1") != before {
		t.Errorf("%d probes for %+v", m.asked("r42-1")-before, i)
	}
	m.mood("r42-1", "ill")
	before = m.asked("r42-1")
	m.until("the next one failed", func() bool { return m.asked("r42-1") > before })
	m.until("a look tells", func() bool { return m.sees("r42-1").Problem != "" })
}

func TestAnInstanceThatHangsDoesNotHoldUpAnObservation(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{HTTP: "/"}))
	m.runs("r42-1")
	m.runs("r42-2")
	m.mood("r42-1", "hang")
	m.until("it counts as failing", func() bool {
		began := time.Now()
		i := m.sees("r42-1")
		if took := time.Since(began); took > time.Second {
			t.Fatalf("the observation took %s", took)
		}
		return i.Health == towpath.HealthFailing
	})
	if i := m.sees("r42-2"); i.Health != towpath.HealthPassing {
		t.Errorf("the other one: %+v", i)
	}
	m.mood("r42-1", "well")
	m.until("it is well again", func() bool { return m.sees("r42-1").Health == towpath.HealthPassing })
}

func TestAnInstanceIsPlacedWholeOrNotAtAll(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{}))
	half := filepath.Join(m.root, "files", ".placing-1")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if seen, err := m.Observe(t.Context()); err != nil || len(seen.Instances) > 0 {
		t.Errorf("%+v, %v", seen, err)
	}
	m.does(deploy.Place{Release: 42, Instances: []string{"r42-1"}})
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was half placed is still there: %v", err)
	}
}

func TestATakeOverRemovesWhatAKeeperThatDiedLeftHalfDone(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{}))
	var left []string
	for _, name := range []string{"files/.placing-1", "files/.removed-r41-1", "run/.removed-r41-1"} {
		left = append(left, filepath.Join(m.root, name))
		if err := os.MkdirAll(left[len(left)-1], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	next := towpath.Epoch{Number: m.epoch.Number + 1, Holder: "another keeper"}
	if _, err := m.Do(t.Context(), deploy.Order{Epoch: next, Operation: deploy.Probe{}}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range left {
		if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", folder, err)
		}
	}
}

func TestATakeOverFencesEveryInstanceAtOnce(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{}))
	m.runs("r42-1")
	later := towpath.Epoch{Number: 4, Holder: "another keeper"}
	if _, err := m.Do(t.Context(), deploy.Order{Epoch: later, Operation: deploy.Probe{}}); err != nil {
		t.Fatal(err)
	}
	orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
	_, err := orders.Stop(t.Context(), filepath.Join(m.root, "run", "r42-1"), supervise.Epoch(m.epoch))
	if !errors.Is(err, supervise.ErrStaleEpoch) {
		t.Errorf("an order that was under way was carried out: %v", err)
	}
	var stale *deploy.StaleEpoch
	if err := m.do(deploy.Stop{Instances: []string{"r42-1"}}); !errors.As(err, &stale) || stale.Seen != later {
		t.Error(err)
	}
}

func TestWhatCannotRunHereIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	m := newMachine(t, definition(towpath.HealthDefinition{}))
	m.release.Artifacts = []towpath.Artifact{{Step: "build", Platform: "plan9/mips"}}
	var permanent *deploy.Permanent
	err := m.do(deploy.Check{Release: 42, Instances: 1})
	if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "plan9/mips") {
		t.Error(err)
	}
	m.release.Artifacts = []towpath.Artifact{{Step: "build", Platform: "any", Size: 1 << 60}}
	var again *deploy.Retryable
	err = m.do(deploy.Check{Release: 42, Instances: 1})
	if !errors.As(err, &again) || !strings.Contains(err.Error(), "MiB are free") {
		t.Error(err)
	}
}
