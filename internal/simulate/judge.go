package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// calmLimit is how long everything may take to come to rest, once nothing goes wrong any more.
const calmLimit = 15 * time.Minute

// broken is a promise that was not kept.
type broken struct {
	invariant
	What string
}

// judge keeps what the world knows to be true, and holds the server and the planner against it.
type judge struct {
	world  *world
	broken *broken
	over   bool
	quiet  time.Duration // since when nothing goes wrong
	leapt  bool          // a day was let pass

	// What was acknowledged, and what was there when the database was copied.
	facts  []fact
	copyAt int
	copyOf int // environments

	// What was read last.
	read    int // commits of the server so far
	full    int // commits when everything was read
	watched map[string]<-chan struct{}
	runs    map[string]towpath.Run
	places  map[string]towpath.Environment
	ended   map[string]towpath.DeploymentState
	changes map[int]int // by release's number: its change

	// What the world knows.
	copyWatches map[string]map[string]watchSeen // those that had begun when the database was copied, by environment
	given       map[string]string               // by attempt: the call of a worker that got it
	begun       map[string]bool                 // attempts that run or ran
	built       map[string]map[string]bool      // by run: digests that its builds made
	seen        map[string]map[string]bool      // by run: digests that somebody said yes to
	sick        map[int]bool
	rotten      map[int]bool
	grants      map[towpath.Epoch]*grant
	granted     int
	latest      map[string]int // by environment and place in it: the latest grant whose keeper has looked
	memory      map[string]*memory
	alerts      map[string]string // by what they tell: their key
	isTold      map[string]bool
	wishes      int
	plans       map[string]plannedAt
}

// grant is an epoch as it was given to a process.
type grant struct {
	number int
	to     *keeper
	life   int
}

// plannedAt is the last plan of an environment.
type plannedAt struct {
	steps int
	at    time.Duration
}

func newJudge(w *world) *judge {
	return &judge{
		world: w, watched: map[string]<-chan struct{}{}, runs: map[string]towpath.Run{}, places: map[string]towpath.Environment{},
		ended: map[string]towpath.DeploymentState{}, given: map[string]string{}, begun: map[string]bool{}, built: map[string]map[string]bool{},
		seen: map[string]map[string]bool{}, sick: map[int]bool{}, rotten: map[int]bool{}, grants: map[towpath.Epoch]*grant{}, latest: map[string]int{},
		memory: map[string]*memory{}, changes: map[int]int{}, alerts: map[string]string{}, isTold: map[string]bool{}, plans: map[string]plannedAt{},
	}
}

// breaks notes a broken promise: the first one ends the story.
func (j *judge) breaks(i invariant, format string, args ...any) {
	if j.broken != nil {
		return
	}
	j.broken = &broken{i, fmt.Sprintf(format, args...)}
	j.world.say("judge", "%s: %s", i.Name, j.broken.What)
}

// isOver says that a promise was broken, or everything has come to rest.
func (j *judge) isOver() bool { return j.over || j.broken != nil }

// look reads what the last event has changed, and judges it.
func (j *judge) look() {
	if j.read == j.world.server.commits || j.broken != nil {
		return
	}
	j.read = j.world.server.commits
	if j.read-j.full > 80 {
		j.recheck()
		return
	}
	j.view(j.readRung)
}

// recheck reads everything.
func (j *judge) recheck() {
	j.read, j.full = j.world.server.commits, j.world.server.commits
	j.view(func(tx *store.Tx) error {
		if err := j.readAll(tx); err != nil {
			return err
		}
		return j.verify(tx)
	})
}

func (j *judge) view(fn func(*store.Tx) error) {
	if err := j.world.server.store.View(j.world.ctx, fn); err != nil {
		j.breaks(answers, "what is recorded cannot be read: %v", err)
	}
}

// isRung says that a topic was rung since it was asked last.
func (j *judge) isRung(topic string) bool {
	rung := j.watched[topic]
	select {
	case <-rung:
	default:
		if rung != nil {
			return false
		}
	}
	j.watched[topic] = j.world.server.options.Hub.Wait(topic)
	return true
}

// readRung reads what the conductor says that it has changed; everything is read after each death anyhow.
func (j *judge) readRung(tx *store.Tx) error {
	for _, name := range j.world.drawn.environments() {
		key := "shop/" + name
		if !j.isRung("environment/" + key) {
			continue
		}
		if e, _, err := tx.Environment(key); err == nil {
			j.environmentIs(e)
		}
	}
	if !j.isRung("runs") {
		return nil
	}
	isKnown := false
	for _, id := range sortedKeys(j.runs) {
		if !j.isRung("run/" + id) {
			continue
		}
		isKnown = true
		run, _, err := tx.Run(id)
		if err != nil {
			return err
		}
		j.runs[id] = run
	}
	if isKnown {
		return nil
	}
	return j.readRuns(tx)
}

func (j *judge) readRuns(tx *store.Tx) error {
	runs, err := tx.Runs(store.RunFilter{})
	j.runs = map[string]towpath.Run{}
	for _, run := range runs {
		j.runs[run.ID] = run
		j.isRung("run/" + run.ID)
	}
	j.checkRuns(runs)
	return err
}

func (j *judge) readAll(tx *store.Tx) error {
	j.watched = map[string]<-chan struct{}{}
	environments, err := tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		j.environmentIs(e)
	}
	deployments, err := tx.Deployments(store.DeploymentFilter{})
	if err != nil {
		return err
	}
	j.checkDeployments(deployments)
	releases, err := tx.Releases(store.ReleaseFilter{})
	if err != nil {
		return err
	}
	j.checkReleases(releases)
	changes, err := tx.Changes(store.ChangeFilter{})
	if err != nil {
		return err
	}
	if err := j.readRuns(tx); err != nil {
		return err
	}
	j.checkChanges(changes)
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
