package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/internal/store"
)

// seldom is how much garbage may gather, in percent of what lives: a story lives for milliseconds, and is small.
const seldom = 800

// enough is how many failures are looked for; more say nothing new.
const enough = 10

// Options say which stories are told.
type Options struct {
	From   uint64 // the first seed
	Seeds  int
	Script io.Writer              // gets every event, of one story after another; nil is none
	Told   func(done, failed int) // is called after each story; nil is nobody
	wiring func() wiring          // nil is the right one
	until  string                 // name of an invariant: others may break, and the first story that breaks it is the last
}

// Report is what became of the stories.
type Report struct {
	From   uint64        `json:"from"`
	Seeds  int           `json:"seeds"`  // that were told
	Events int           `json:"events"` // in all of them
	Took   time.Duration `json:"took"`   // nanoseconds
	Failed []Failure     `json:"failed"` // by their seeds
}

// Failure is a promise that was broken.
type Failure struct {
	Seed      uint64   `json:"seed"`
	Invariant string   `json:"invariant"`
	Promise   string   `json:"promise"`
	Source    string   `json:"source"`
	What      string   `json:"what"`
	Last      []string `json:"last"` // events before it, the oldest first
}

// Run tells the stories of the seeds, and ends early where enough of them failed. The error is of the simulation itself;
// what it found stands in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	start := time.Now()
	folder, err := os.MkdirTemp(fastFolder(), "towpath-simulate-")
	if err != nil {
		return Report{}, fmt.Errorf("simulate: %w", err)
	}
	defer os.RemoveAll(folder)
	defer debug.SetGCPercent(debug.SetGCPercent(seldom))
	r := &runner{Options: o, folder: folder, report: Report{From: o.From, Failed: []Failure{}}}
	if r.template, err = newTemplate(ctx, filepath.Join(folder, "template.db")); err != nil {
		return Report{}, fmt.Errorf("simulate: make the first database: %w", err)
	}
	if r.wiring == nil {
		r.wiring = newWiring
	}
	err = r.run(ctx)
	r.report.Took = time.Since(start)
	return r.report, err
}

// fastFolder is in memory where the machine has such a place: a disk would only make the stories slow.
func fastFolder() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return "" // the usual one
}

// runner tells stories side by side.
type runner struct {
	Options
	folder   string
	template []byte

	mutex  sync.Mutex
	given  int
	err    error
	report Report
}

func (r *runner) run(ctx context.Context) error {
	atOnce := runtime.GOMAXPROCS(0)
	if r.Script != nil {
		atOnce = 1
	}
	var tellers sync.WaitGroup
	for n := range atOnce {
		tellers.Go(func() { r.tell(ctx, filepath.Join(r.folder, fmt.Sprint(n))) })
	}
	tellers.Wait()
	slices.SortFunc(r.report.Failed, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	return errors.Join(r.err, context.Cause(ctx))
}

// tell tells stories in a folder of its own, until none is left.
func (r *runner) tell(ctx context.Context, folder string) {
	for {
		seed, more := r.next(ctx)
		if !more {
			return
		}
		told, err := r.story(ctx, seed, folder)
		r.note(seed, told, err)
	}
}

func (r *runner) next(ctx context.Context) (seed uint64, more bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.given == r.Seeds || r.err != nil || r.hasEnough() || ctx.Err() != nil {
		return 0, false
	}
	r.given++
	return r.From + uint64(r.given-1), true
}

func (r *runner) hasEnough() bool {
	if r.until == "" {
		return len(r.report.Failed) >= enough
	}
	return slices.ContainsFunc(r.report.Failed, func(f Failure) bool { return f.Invariant == r.until })
}

// story tells one, from the first event to the last.
func (r *runner) story(ctx context.Context, seed uint64, folder string) (*world, error) {
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "towpath.db")
	if err := os.WriteFile(path, r.template, 0o600); err != nil {
		return nil, err
	}
	w := newWorld(ctx, seed, path, r.wiring(), r.Script)
	if err := w.server.open(); err != nil {
		return nil, err
	}
	w.open()
	err := w.tell()
	return w, errors.Join(err, w.server.store.Close())
}

func (r *runner) note(seed uint64, told *world, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("seed %d: %w", seed, err))
		return
	}
	r.report.Seeds++
	r.report.Events += told.told
	if broken := told.judge.broken; broken != nil {
		r.report.Failed = append(r.report.Failed, Failure{
			Seed: seed, Invariant: broken.Name, Promise: broken.Promise, Source: broken.Source, What: broken.What,
			Last: told.script.tail(),
		})
	}
	if r.Told != nil {
		r.Told(r.report.Seeds, len(r.report.Failed))
	}
}

// newTemplate is the database that every story begins with: its schema, the project and the people.
func newTemplate(ctx context.Context, path string) (content []byte, err error) {
	s, err := store.Open(ctx, store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	err = s.Update(ctx, func(tx *store.Tx) error {
		for _, name := range []string{mira, ben} {
			if err := tx.CreateAccount(store.Account{ID: name, Name: name, Email: name + "@example.com"}); err != nil {
				return err
			}
		}
		for n := range mostHosts {
			if err := tx.RegisterWorker(workerOf(n), fmt.Sprint("key", n)); err != nil {
				return err
			}
		}
		return errors.Join(tx.CreateProject(project), tx.CreateGroup("release-managers", began), tx.AddMember("release-managers", mira))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
